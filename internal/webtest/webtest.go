// Package webtest drives a real Chromium for tests of pages.
package webtest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// within bounds what one test does in its browser.
const within = 20 * time.Minute

// stepWithin bounds one call of Do or Get, so that a test says where it stood.
const stepWithin = 2 * time.Minute

// Browser is one window of a Chromium with a profile of its own.
type Browser struct {
	t   testing.TB
	ctx context.Context // of the browser, as chromedp has it
}

// Chromium starts a headless browser with one window of width × height CSS
// pixels. It ends with the test, which is skipped where no chromium is installed.
func Chromium(t testing.TB, width, height int) *Browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: .ci/deps does that")
	}
	profile := profileFolder(t)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.WSURLReadTimeout(stepWithin), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.WindowSize(width, height))
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); cancel() })
	b := &Browser{t, ctx}
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the first call's context
		t.Fatalf("browser: %v", err)
	}
	b.Do(chromedp.EmulateViewport(int64(width), int64(height)))
	return b
}

// profileFolder makes a folder that is taken away once what a browser leaves
// running has stopped writing into it.
func profileFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end := time.Now().Add(stepWithin)
		for err := os.RemoveAll(dir); err != nil; err = os.RemoveAll(dir) {
			if time.Now().After(end) {
				t.Errorf("browser: %v", err)
				return
			}
			time.Sleep(20 * time.Millisecond) // another process has nothing to wait on
		}
	})
	return dir
}

// Do runs the actions and fails the test where one does.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepWithin)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// Open goes to url and waits until the page has come.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(url))
}

// Submit runs actions that send a form or follow a link, and waits until the page
// that answers has come. Waiting for what stands on it is not enough where the page
// that is left has the same.
func (b *Browser) Submit(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepWithin)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// Get runs one action that tells something.
func Get[T any](b *Browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepWithin)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	return v
}

// Eval runs a script in the page and returns what it says. Between two pages, when
// a form was sent or a link followed, it waits for the next.
func Eval[T any](b *Browser, script string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepWithin)
	defer cancel()
	for {
		v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
		if err == nil {
			return v
		}
		if said := err.Error(); ctx.Err() != nil || !strings.Contains(said, "(-32000)") || !strings.Contains(said, "context") {
			b.t.Fatalf("browser: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // the browser tells of no page in which scripts may run
	}
}
