package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// oidcProgram is where .ci/deps puts oidc-provider, which is certified by the
// OpenID Foundation.
const oidcProgram = "/var/cache/stanch-tests/oidc/node_modules/oidc-provider/lib/index.js"

// oidcScript has it know two people, by whatever password: one of the desk, and
// one who has nothing to do with it.
const oidcScript = `
import { createServer } from "node:http";
const [program, port, secret, redirect] = process.argv.slice(2);
const { Provider } = await import(program);
const provider = new Provider("http://127.0.0.1:" + port, {
  clients: [{ client_id: "stanch", client_secret: secret, redirect_uris: [redirect], grant_types: ["authorization_code"], response_types: ["code"] }],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ["of a test"] },
  findAccount: (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, preferred_username: id + "@clinic.example", groups: id === "ann" ? ["staff", "desk"] : ["staff"] }) }),
});
createServer(provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("ready"));
`

// startOIDC starts the provider and returns its address.
func startOIDC(t *testing.T, secret, redirect string) string {
	t.Helper()
	if _, err := os.Stat(oidcProgram); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("oidc-provider is not installed: .ci/deps installs it")
		}
		t.Skip("oidc-provider is not installed: .ci/deps installs it")
	}
	addr := freeAddr(t)
	script := filepath.Join(t.TempDir(), "provider.mjs")
	write(t, script, oidcScript, 0o600)
	cmd := exec.CommandContext(t.Context(), "node", script, oidcProgram, addr[strings.LastIndexByte(addr, ':')+1:], secret, redirect)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is gone already, or goes by this
		_ = cmd.Wait()         // says that it was killed
	})
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			t.Fatal("the provider did not start")
		}
		if lines.Text() == "ready" {
			return "http://" + addr
		}
	}
}

// TestSignInByProvider: in a browser, with a real provider: who is of the desk
// comes to the queue by it, and again after a reload; who is not stays outside.
func TestSignInByProvider(t *testing.T) {
	t.Parallel()
	console := freeAddr(t)
	issuer := startOIDC(t, "a secret of a test", "http://"+console+"/signin/oidc/done")
	g := newGateway(t, options{extra: fmt.Sprintf(`
[console]
listen = %q
second_factor = ["officer"]
[console.oidc]
issuer = %q
client_id = "stanch"
client_secret_file = "oidc.secret"
url = "http://%s"
provider = "the clinic's login"
roles = { officer = ["desk"] }
`, console, issuer, console)})
	write(t, filepath.Join(g.dir, "oidc.secret"), "a secret of a test\n", 0o600)
	g.start()
	for _, who := range []struct{ name, want string }{{"ann", "0 held"}, {"bob", "Sign in to the console"}} {
		b := webtest.Chromium(t, 1280, 900)
		b.Open("http://" + console + "/signin")
		b.Do(chromedp.Click(`a[href="/signin/oidc"]`), chromedp.WaitVisible(`input[name=login]`), chromedp.SendKeys(`input[name=login]`, who.name),
			chromedp.SendKeys(`input[name=password]`, "x"), chromedp.Click(`button[type=submit]`), chromedp.WaitNotPresent(`input[name=login]`), chromedp.Click(`button[type=submit]`))
		came := fmt.Sprintf(`document.readyState === "complete" && document.querySelector("h1")?.textContent === %q`, who.want)
		eventually(t, who.name+" comes to "+who.want, func() bool { return webtest.Eval[bool](b, came) })
		b.Open("http://" + console + "/queue")
		eventually(t, who.name+" comes to "+who.want+" again", func() bool { return webtest.Eval[bool](b, came) })
	}
	if out := g.must("user", "list"); !strings.Contains(out, "ann\tofficer\tactive\tby the provider\n") || strings.Contains(out, "bob") {
		t.Errorf("accounts\n%s", out)
	}
}
