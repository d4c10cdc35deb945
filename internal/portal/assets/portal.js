// Opens a message in the browser: the key is in the fragment of the address,
// which no browser sends. The form of the content is in docs/portal.md.
const $ = (id) => document.getElementById(id);
const id = location.pathname.split("/").pop();
const chunk = 65536, tag = 16;
let token = "", subject = "";

// show shows one part of the page and moves the reader there.
function show(name) {
  for (const part of ["ask", "code-form", "opened", "gone", "broken", "busy"]) $(part).hidden = part !== name;
  const head = $(name).querySelector("h1");
  if (head) head.focus();
}

function key() {
  const text = location.hash.slice(1);
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) return null;
  const bin = atob(text.replaceAll("-", "+").replaceAll("_", "/") + "=");
  return Uint8Array.from(bin, (c) => c.charCodeAt(0));
}

async function post(path, body, type) {
  const headers = token ? { Authorization: "Bearer " + token } : {};
  if (type) headers["Content-Type"] = type;
  const r = await fetch("/p/" + id + path, { method: "POST", headers, body, credentials: "omit", cache: "no-store" });
  const said = await r.json().catch(() => ({}));
  if (r.status === 404) show("gone");
  return { ok: r.ok, status: r.status, said };
}

const words = {
  wait: "Too many tries from here. Wait a minute, then try again.",
  many: "No more codes are sent for now. Try again in an hour, or ask who sent you the link.",
  code: "That code did not match.",
  none: "That code is not good any more. Send a new one.",
  again: "It has been a while: ask for a new code.",
  stale: "That took too long. Try again.",
  passkey_none: "There is no passkey for this address any more. Have a code sent.",
  passkey_wrong: "That passkey did not match.",
  passkey_over: "Passkeys are not taken for this message any more. Have a code sent.",
  passkey_many: "This address has five passkeys, and cannot have more. Remove one first.",
  passkey_failed: "No passkey was set. Try again, or another device.",
  failed: "That did not work. Nothing was changed; try again in a minute.",
};

// ask has a code sent. It is the only thing that does: opening this page sends nothing.
async function ask(text, amiss) {
  amiss.textContent = "";
  const r = await post("/code", JSON.stringify({ text }), "application/json").catch(() => ({ said: {} }));
  if (r.ok) {
    $("sent-to").textContent = r.said.to;
    $("code-amiss").textContent = "";
    $("code").value = "";
    $("code").removeAttribute("aria-invalid");
    show("code-form");
    $("code").focus();
  } else if (r.status !== 404) {
    amiss.textContent = words[r.said.error] || words.failed;
  }
}

async function enter(event) {
  event.preventDefault();
  const amiss = $("code-amiss");
  amiss.textContent = "";
  const r = await post("/open", JSON.stringify({ code: $("code").value.trim() }), "application/json").catch(() => ({ said: {} }));
  if (r.ok) {
    token = r.said.token;
    await open();
  } else if (r.status !== 404) {
    amiss.textContent = words[r.said.error] || words.failed;
    if (r.said.error === "code") amiss.textContent += r.said.left === 1 ? " 1 try is left." : " " + r.said.left + " tries are left.";
    $("code").setAttribute("aria-invalid", "true");
    $("code").focus();
  }
}

async function open() {
  show("busy");
  const r = await fetch("/p/" + id + "/content", { headers: { Authorization: "Bearer " + token }, credentials: "omit", cache: "no-store" });
  if (r.status === 404) return show("gone");
  if (!r.ok) { show("ask"); $("ask-amiss").textContent = words.again; return; }
  let plain;
  try {
    plain = await decrypt(new Uint8Array(await r.arrayBuffer()));
  } catch {
    return show("broken"); // another key, or altered on its way: nothing of it is shown
  }
  try {
    read(plain);
  } catch {
    show("broken");
  }
}

async function decrypt(sealed) {
  const k = await crypto.subtle.importKey("raw", key(), "AES-GCM", false, ["decrypt"]);
  const additionalData = new TextEncoder().encode("stanch pickup v1 " + id);
  const parts = [];
  let size = 0;
  for (let n = 0, at = 0; ; n++, at += chunk + tag) {
    const last = at + chunk + tag >= sealed.length;
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setUint32(7, n);
    iv[11] = last ? 1 : 0;
    const p = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, k, sealed.subarray(at, at + chunk + tag)));
    parts.push(p);
    size += p.length;
    if (last) break;
  }
  const out = new Uint8Array(size);
  let to = 0;
  for (const p of parts) { out.set(p, to); to += p.length; }
  return out;
}

function read(plain) {
  const view = new DataView(plain.buffer);
  const length = view.getUint32(plain.length - 4);
  const c = JSON.parse(new TextDecoder().decode(plain.subarray(plain.length - 4 - length, plain.length - 4)));
  subject = c.subject;
  $("subject").textContent = c.subject || "Message";
  $("from").textContent = c.from;
  $("address").textContent = c.address === c.from ? "" : c.address;
  const date = new Date(c.date);
  $("date").textContent = date.getFullYear() > 1970 ? "to you, " + date.toLocaleString() : "to you";
  const texts = (c.bodies || []).map((b) => (b.html ? textOf(b.text) : b.text).replaceAll("\r\n", "\n").trim());
  $("body").textContent = texts.filter(Boolean).join("\n\n") || "(There is no text in this message.)";
  files(plain, c.files || []);
  $("reply-label").textContent = "Reply to " + (c.from || "the sender");
  $("reply").hidden = !c.address;
  passkeys();
  show("opened");
}

function files(plain, list) {
  let at = 0;
  $("file-list").replaceChildren();
  for (const f of list) {
    const row = $("file-row").content.cloneNode(true);
    row.querySelector("strong").textContent = f.name;
    row.querySelector(".hint").textContent = size(f.size);
    const a = row.querySelector("a");
    // never of its own type: a saved file is not a page of this site
    a.href = URL.createObjectURL(new Blob([plain.subarray(at, at + f.size)], { type: "application/octet-stream" }));
    a.download = f.name;
    a.setAttribute("aria-label", "Save " + f.name);
    at += f.size;
    $("file-list").append(row);
  }
  $("files-h").textContent = list.length === 1 ? "1 attachment" : list.length + " attachments";
  $("files").hidden = list.length === 0;
}

function size(n) {
  return n < 1024 ? n + " bytes" : n < 1048576 ? Math.round(n / 1024) + " KB" : (n / 1048576).toFixed(1) + " MB";
}

// What a node is, asked of the platform: a form in the mail can give its fields
// the names of these properties, and would answer in their place.
const of = (kind, name) => Function.prototype.call.bind(Object.getOwnPropertyDescriptor(kind.prototype, name).get);
const typeOf = of(Node, "nodeType"), nameOf = of(Node, "nodeName"), dataOf = of(CharacterData, "data");
const lastOf = of(Node, "lastChild"), beforeOf = of(Node, "previousSibling");
const attrOf = (node, name) => Element.prototype.getAttribute.call(node, name) || "";

// textOf is what HTML says. A parsed document is not this one: nothing in it runs or loads.
function textOf(html) {
  const skip = new Set(["SCRIPT", "STYLE", "HEAD", "TITLE", "TEMPLATE", "NOSCRIPT", "IFRAME", "OBJECT", "SVG", "MATH"]);
  const block = new Set(["P", "DIV", "TR", "TABLE", "UL", "OL", "LI", "H1", "H2", "H3", "H4", "H5", "H6", "BLOCKQUOTE", "PRE", "HR", "SECTION", "ARTICLE", "HEADER", "FOOTER"]);
  const out = [];
  let end = "\n", link = ""; // the last character, and the text since a link began
  const add = (s) => { if (s) { out.push(s); end = s[s.length - 1]; link += s.length < 2000 ? s : ""; } };
  const brk = () => { if (end !== "\n") add("\n"); };
  const stack = [[new DOMParser().parseFromString(html, "text/html").body, false]];
  while (stack.length) {
    const [node, ended] = stack.pop();
    if (typeOf(node) === Node.TEXT_NODE) {
      const text = dataOf(node).replace(/\s+/g, " ");
      add(/\s/.test(end) ? text.trimStart() : text);
      continue;
    }
    if (typeOf(node) !== Node.ELEMENT_NODE) continue;
    const name = nameOf(node).toUpperCase();
    if (skip.has(name)) continue;
    if (ended) {
      const href = name === "A" ? attrOf(node, "href") : "";
      if (/^(https?|mailto):/i.test(href) && href !== link.trim()) add(" <" + href + ">");
      if (name === "TD" || name === "TH") add("\t");
      if (block.has(name)) brk();
      if (name === "P") add("\n");
      continue;
    }
    if (name === "BR") { add("\n"); continue; }
    if (name === "IMG") { const alt = attrOf(node, "alt"); if (alt) add("[" + alt + "]"); continue; }
    if (block.has(name)) brk();
    if (name === "LI") add("• ");
    if (name === "A") link = "";
    stack.push([node, true]);
    for (let c = lastOf(node); c; c = beforeOf(c)) stack.push([c, false]);
  }
  return out.join("");
}

async function reply(event) {
  event.preventDefault();
  const amiss = $("reply-amiss"), sent = $("reply-sent");
  amiss.textContent = sent.textContent = "";
  const form = new FormData();
  form.append("subject", /^re:/i.test(subject) ? subject : "Re: " + subject);
  form.append("text", $("text").value);
  for (const f of $("up").files) form.append("file", f, f.name);
  if (!$("text").value.trim() && !$("up").files.length) { amiss.textContent = "Write something, or add a file."; return; }
  const button = event.submitter;
  button.disabled = true;
  const r = await post("/reply", form).catch(() => ({ said: {} }));
  button.disabled = false;
  if (r.ok) {
    sent.textContent = "Your reply is on its way to " + $("from").textContent + ".";
    $("reply").reset();
  } else if (r.status === 401) {
    amiss.textContent = words.again + " What you wrote is still here; copy it first.";
  } else if (r.status === 413) {
    amiss.textContent = "That is too large to send from here.";
  } else if (r.status !== 404) {
    amiss.textContent = words[r.said.error] || words.failed;
  }
}

// Passkeys open messages in place of a code. What they sign opens nothing that
// the key in the link does not: the page decrypts with that alone.
const able = typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential && "parseCreationOptionsFromJSON" in PublicKeyCredential;
const json = "application/json";

async function usePasskey() {
  const amiss = $("ask-amiss");
  amiss.textContent = "";
  const begun = await post("/passkey/ask", "{}", json).catch(() => ({ said: {} }));
  if (begun.status === 404) return;
  if (!begun.ok) { amiss.textContent = words[begun.said.error] || words.failed; return; }
  let c;
  try {
    c = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(begun.said.options) });
  } catch {
    amiss.textContent = "No passkey was used. Try again, or have a code sent.";
    return;
  }
  const r = await post("/passkey/open", JSON.stringify({ ceremony: begun.said.ceremony, credential: c.toJSON() }), json).catch(() => ({ said: {} }));
  if (r.ok) {
    token = r.said.token;
    await open();
  } else if (r.status !== 404) {
    amiss.textContent = words[r.said.error] || words.failed;
  }
}

async function setPasskey() {
  const amiss = $("passkey-amiss"), done = $("passkey-done");
  amiss.textContent = done.textContent = "";
  const begun = await post("/passkey/new", "{}", json).catch(() => ({ said: {} }));
  if (begun.status === 404) return;
  if (!begun.ok) { amiss.textContent = words[begun.said.error] || words.failed; return; }
  let c;
  try {
    c = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(begun.said.options) });
  } catch (e) {
    amiss.textContent = e.name === "InvalidStateError" ? "This device has a passkey for this address already." : words.passkey_failed;
    return;
  }
  const r = await post("/passkey/set", JSON.stringify({ ceremony: begun.said.ceremony, credential: c.toJSON() }), json).catch(() => ({ said: {} }));
  if (r.ok) {
    done.textContent = "Your passkey is set. The next message opens with it.";
    await passkeys();
  } else if (r.status !== 404) {
    amiss.textContent = words[r.said.error] || words.failed;
  }
}

// passkeys shows those of this address, each with a button that removes it.
async function passkeys() {
  if (!able || !$("passkeys")) return;
  const r = await fetch("/p/" + id + "/passkeys", { headers: { Authorization: "Bearer " + token }, credentials: "omit", cache: "no-store" }).catch(() => ({}));
  if (!r.ok) return;
  const day = (t) => new Date(t).toLocaleDateString();
  const rows = (await r.json()).map((k) => {
    const row = $("passkey-row").content.cloneNode(true);
    const text = "Set " + day(k.set) + ", used " + day(k.used);
    row.querySelector("span").textContent = text;
    const button = row.querySelector("button");
    button.setAttribute("aria-label", "Remove the passkey: " + text);
    button.addEventListener("click", () => forgetPasskey(k.id));
    return row;
  });
  $("passkey-list").replaceChildren(...rows);
  $("passkey-list").hidden = !rows.length;
  $("passkeys").hidden = false;
}

async function forgetPasskey(key) {
  const amiss = $("passkey-amiss"), done = $("passkey-done");
  amiss.textContent = done.textContent = "";
  const r = await post("/passkey/forget", JSON.stringify({ key }), json).catch(() => ({ said: {} }));
  if (r.ok) {
    done.textContent = "The passkey is removed here. Your device may still list it.";
    await passkeys();
    $("set-passkey").focus();
  } else if (r.status !== 404) {
    amiss.textContent = words[r.said.error] || words.failed;
  }
}

if (able) {
  $("set-passkey")?.addEventListener("click", setPasskey);
  const use = $("use-passkey");
  if (use) {
    use.addEventListener("click", usePasskey);
    use.hidden = false;
    $("send-mail").classList.remove("btn-main");
  }
}
for (const [name, text] of [["send-mail", false], ["send-text", true], ["again-mail", false], ["again-text", true]]) {
  $(name)?.addEventListener("click", () => ask(text, $(name.startsWith("send") ? "ask-amiss" : "code-amiss")));
}
$("code-form").addEventListener("submit", enter);
$("reply").addEventListener("submit", reply);
addEventListener("hashchange", () => location.reload());
show(key() ? "ask" : "broken");
