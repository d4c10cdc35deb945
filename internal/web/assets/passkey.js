// passkey.js: hands what a form asks for to the browser's authenticator, and the answer to the form.
(() => {
  const able = typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential && "parseCreationOptionsFromJSON" in PublicKeyCredential;
  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const amiss = form.querySelector("[data-amiss]");
    amiss.textContent = able ? "" : "This browser knows no passkeys.";
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      if (!able) return;
      amiss.textContent = "";
      const options = JSON.parse(form.dataset.passkey);
      let c;
      try {
        c = form.dataset.make ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      } catch (x) {
        amiss.textContent = x.name === "InvalidStateError" ? "This device has a passkey of yours already." : "No passkey was used. Try again.";
        return;
      }
      const prf = c.getClientExtensionResults().prf?.results?.first;
      const said = c.toJSON();
      said.clientExtensionResults = {}; // what the PRF made goes by itself, where it is asked for
      form.elements.prf.value = prf ? btoa(String.fromCharCode(...new Uint8Array(prf))) : "";
      form.elements.credential.value = JSON.stringify(said);
      form.submit();
    });
  });
})();
