// Keeps the paste the operator's: forms go by fetch and the document stays, so that what was pasted lives in its
// memory, and nowhere else, for "check again" and for exports with keys. Everything works without this file.
(() => {
  const testkey = (window.testkey ??= {});
  const pastes = new Map(); // the lines of what was pasted, by the path of its check
  let home = null; // the form's page while another is shown: { path, title, main }
  let shown = location.pathname;
  let join = false; // keys go into exports

  const form = () => document.getElementById("paste") ?? home?.main.querySelector("#paste");
  const pasted = () => pastes.get(shown);

  testkey.keyAt = (line, column, length) =>
    (pasted()?.[line - 1] ?? "").slice(column, column + length).replace(/[^!-~]/g, "");
  const keyOf = ({ dataset: { line, column, length } }) => testkey.keyAt(+line, +column, +length);

  // Sending, and showing the answer in place of the page

  async function send(action, body, { button, unanswered, lines }) {
    button.disabled = true;
    const before = shown;
    const response = await post(action, body).catch(() => null);
    const text = await response?.text().catch(() => "");
    button.disabled = false;
    if (shown !== before) return; // the operator went elsewhere meanwhile
    const page = new DOMParser().parseFromString(text ?? "", "text/html");
    const path = response?.redirected ? new URL(response.url).pathname : shown;
    if (response?.ok && lines) pastes.set(path, lines);
    if (response?.ok || response?.status === 404 || page.getElementById("errors")) return show(page, path);
    const [title, why] = ["main h1", "main .lead"].map((part) => page.querySelector(part)?.textContent);
    complain(title ?? "", why ?? unanswered);
  }

  // A page that stood open while the operator signed in elsewhere, or lost its cookies, has an old token: the page that
  // the address leads to has a new one.
  async function post(action, body) {
    const response = await fetch(action, { method: "POST", body });
    if (response.status !== 403) return response;
    const page = new DOMParser().parseFromString(await (await fetch(action)).text(), "text/html");
    const fresh = page.querySelector("[name=csrfmiddlewaretoken]")?.value;
    if (!fresh) return response;
    body.set("csrfmiddlewaretoken", fresh);
    return fetch(action, { method: "POST", body });
  }

  function show(page, path) {
    const old = document.querySelector("main");
    const main = document.adoptNode(page.querySelector("main"));
    if (path === shown) carry(old, main);
    else {
      if (old.querySelector("#paste")) home = { path: shown, title: document.title, main: old };
      history.pushState(null, "", path);
      join = false;
    }
    put(main, page.title, path);
  }

  function put(main, title, path) {
    main.querySelector("[autofocus]")?.removeAttribute("autofocus"); // for pages without this file
    document.querySelector("main").replaceWith(main);
    document.title = title;
    shown = path;
    main.querySelectorAll("#errors .without-script").forEach((p) => p.remove());
    const first = main.querySelector("#errors") ?? main.querySelector("h1") ?? main;
    first.tabIndex = -1;
    scrollTo(0, 0);
    first.focus();
    testkey.watch?.();
  }

  // What was typed stays where it was: the server echoes nothing.
  function carry(from, to) {
    const typable = "textarea, select, input:not([type=hidden], [type=checkbox], [type=file])";
    for (const field of to.querySelectorAll(`:is(#paste, #review) :is(${typable})`)) {
      const typed = from.querySelector(`[id="${field.id}"]`);
      if (typed) field.value = typed.value;
    }
  }

  function complain(title, text) {
    document.getElementById("errors")?.remove();
    const notice = Object.assign(document.createElement("div"), { id: "errors", className: "notice bad", tabIndex: -1 });
    notice.setAttribute("role", "alert");
    const parts = [["h2", title], ["p", text]].filter(([, said]) => said);
    notice.append(...parts.map(([tag, said]) => Object.assign(document.createElement(tag), { textContent: said })));
    document.querySelector("main").prepend(notice);
    notice.focus();
  }

  addEventListener("submit", (event) => {
    const sent = event.target;
    const { unanswered, most, tooLarge } = { ...form()?.dataset, ...sent.dataset };
    if (sent.matches("#compare") && pasted()) sent.target = "_blank";
    const cancels = pasted() && sent.action.endsWith("/cancel/");
    if (!sent.matches("#paste, #review") && !cancels) return;
    event.preventDefault();
    const box = sent.elements.keys;
    if (box?.value.length > most) return complain("", tooLarge);
    const lines = box?.value.split(/\r\n|\n|\r/);
    send(sent.action, new FormData(sent), { button: sent.querySelector("button"), unanswered, lines });
  });

  // At 0:00 the result goes; the form and what was typed there stay within reach.
  testkey.leave = async (address) => {
    const response = home && (await fetch(address).catch(() => null));
    if (!response) return location.replace(address);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    put(document.adoptNode(page.querySelector("main")), page.title, shown);
  };

  addEventListener("popstate", async () => {
    const path = location.pathname;
    if (path === shown) return; // a place within the page
    if (path === home?.path) return put(home.main, home.title, path);
    const response = pastes.has(path) && (await fetch(path + location.search).catch(() => null));
    if (!response) return location.reload();
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (path === location.pathname) put(document.adoptNode(page.querySelector("main")), page.title, path);
  });

  // Files: their text joins the paste

  async function add(files) {
    const { keys: box } = form().elements, { most, tooLarge, unreadable, added } = form().dataset;
    const size = files.reduce((sum, file) => sum + file.size, box.value.length);
    if (size > most) return say(tooLarge, true);
    const texts = await Promise.all(files.map(async (file) => decoded(await file.arrayBuffer()))).catch(() => null);
    if (!texts) return say(unreadable, true);
    box.value = [box.value, ...texts].map((text) => text.replace(/[\r\n]+$/, "")).filter(Boolean).join("\n") + "\n";
    say(`${added} ${files.map((file) => file.name).join(", ")}`);
  }

  function decoded(bytes) {
    const [first, second] = new Uint8Array(bytes);
    const wide = { "255,254": "utf-16le", "254,255": "utf-16be" }[`${first},${second}`];
    return new TextDecoder(wide).decode(bytes);
  }

  function say(text, bad = false) {
    const note = form().querySelector(".files-note");
    note.classList.toggle("error", bad);
    note.textContent = text;
  }

  addEventListener("change", ({ target }) => {
    if (!target.matches("#paste [type=file]")) return;
    const files = [...target.files];
    target.value = "";
    add(files);
  });

  const dropped = (event) => event.dataTransfer?.types.includes("Files") && document.getElementById("paste");
  const marked = (event, on) => form()?.classList.toggle("dropping", on);
  addEventListener("dragover", (event) => dropped(event) && (event.preventDefault(), marked(event, true)));
  addEventListener("dragleave", (event) => marked(event, false));
  addEventListener("drop", (event) => {
    marked(event, false);
    if (!dropped(event)) return;
    event.preventDefault();
    add([...event.dataTransfer.files]);
  });

  // The review: the button says how many keys it starts

  addEventListener("input", ({ target }) => {
    const review = target.closest("#review");
    if (!review) return;
    const button = review.querySelector("button");
    const rules = new Intl.PluralRules(document.documentElement.lang);
    const labels = button.dataset.labels.split("|");
    const keys = [...review.querySelectorAll(".group")].reduce((sum, group) => sum + starts(review, group), 0);
    const alike = labels.find((label) => rules.select(label.match(/\d+/)) === rules.select(keys)) ?? labels.at(-1);
    button.textContent = keys ? alike.replace(/\d+/, keys) : button.dataset.bare;
  });

  function starts(review, group) {
    const choices = group.querySelectorAll("select, [name^=each-]:checked, [name^=base_url-]:not([name^=base_url-key-])");
    const chosen = "clear" in group.dataset || [...choices].some((field) => field.value.trim());
    const elsewhere = (number) => review.elements[`base_url-key-${number}`].value.trim();
    return [...group.querySelectorAll("[name=leave]:not(:checked)")].filter(({ value }) => chosen || elsewhere(value)).length;
  }

  // Results: what only the paste makes possible

  addEventListener("click", (event) => {
    const again = event.target.closest("button.again");
    const link = event.target.closest("a.export");
    const away = event.target.closest("main a[href]:not(.export)");
    // What else a result leads to opens beside it: to leave the page is to lose the paste.
    if (away && away.pathname !== shown && pasted()) away.target = "_blank";
    if (again && pasted()) return checkAgain(again);
    if (!link || !join || !pasted()) return;
    event.preventDefault();
    download(link);
  });

  function checkAgain(button) {
    const { action, dataset, elements } = form(), key = keyOf(button), body = new FormData();
    const fields = { keys: key, provider: button.dataset.provider, base_url: button.dataset.baseUrl };
    const csrf = elements.csrfmiddlewaretoken.value;
    for (const [name, value] of Object.entries({ csrfmiddlewaretoken: csrf, ...fields })) body.set(name, value ?? "");
    send(action, body, { button, unanswered: dataset.unanswered, lines: [key] });
  }

  function withKeys(text, link) {
    if (!join || !pasted()) return text;
    const rows = [...document.querySelectorAll("[data-number][data-length]")];
    return testkey.join(text, link.dataset.format, new Map(rows.map((row) => [+row.dataset.number, keyOf(row)])));
  }

  const { file } = testkey;
  testkey.file = async (link) => withKeys(await file(link), link); // what is copied

  async function download(link) {
    const response = await fetch(link.href).catch(() => null);
    if (!response?.ok) return location.assign(link.href); // the page there says why
    const text = withKeys(await response.text(), link);
    const [, name] = response.headers.get("Content-Disposition")?.match(/filename="([^"]+)"/) ?? [];
    const href = URL.createObjectURL(new Blob([text], { type: response.headers.get("Content-Type") }));
    Object.assign(document.createElement("a"), { href, download: name ?? "testkey.txt" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  }

  function offerJoin(links) {
    const { join: words, joined, apart } = form().dataset;
    const tick = Object.assign(document.createElement("input"), { type: "checkbox", checked: join });
    const label = Object.assign(document.createElement("label"), { className: "join" });
    label.append(tick, ` ${words}`);
    (links[0].closest("ul") ?? links[0].parentElement).before(label);
    const notes = links.map(() => Object.assign(document.createElement("small"), { className: "soft" }));
    links.forEach((link, i) => link.previousElementSibling?.append(" ", notes[i]));
    const tell = () => notes.forEach((note) => (note.textContent = (join = tick.checked) ? joined : apart));
    tick.addEventListener("change", tell);
    tell();
  }

  function arrange() {
    if (!pasted()) return;
    for (const button of document.querySelectorAll("button.again[hidden]")) {
      button.hidden = !keyOf(button);
      if (!button.hidden) button.nextElementSibling?.remove(); // the way without a paste
    }
    const links = [...document.querySelectorAll("main a.export")];
    if (links.length && !document.querySelector(".join")) offerJoin(links);
  }

  new MutationObserver(arrange).observe(document.body, { childList: true, subtree: true });
  document.querySelectorAll("#errors .without-script").forEach((p) => p.remove());
  arrange();
})();
