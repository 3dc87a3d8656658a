// A result: fills it as findings arrive, filters and sorts its rows, opens one in place, counts the clock down, and
// empties the page at 0:00. Everything works without this file.
//
// For other scripts: testkey.watch() starts on the page's #report in place of a former one; testkey.leave(address) and
// testkey.file(link) may be given other ways to go when all is burned, and to get an export's text.
window.testkey = window.testkey || {};
(() => {
  const SOON = 60; // seconds before the burn from which it is warned of
  const { testkey } = window;
  let stop = () => {};

  testkey.leave ??= (address) => location.replace(address);

  testkey.file ??= async (link) => {
    const answer = await fetch(link.href);
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.text();
  };

  testkey.watch = () => {
    stop();
    const report = document.getElementById("report");
    stop = report ? watch(report) : () => {};
  };

  function parsed(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  // Watch one report; returns what ends that.
  function watch(report) {
    const said = report.dataset;
    const over = new AbortController();
    const { signal } = over;
    const find = (selector) => report.querySelector(selector);
    const all = (selector) => [...report.querySelectorAll(selector)];
    const on = (target, kind, handler) => target?.addEventListener(kind, handler, { signal });
    const status = document.getElementById("status");

    // Announcements: each once.
    let told = status.textContent;
    function announce(text) {
      if (text !== told) status.textContent = told = text;
    }

    function gone() {
      over.abort();
      report.replaceChildren();
      testkey.leave(said.check);
    }

    // The clock. It is the wall clock: another stands still while the machine sleeps.
    let ends = 0, warned = false;
    const countFrom = (left) => { ends = Date.now() + left * 1000; };

    function tick() {
      if (signal.aborted) return;
      const seconds = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
      const time = find("#clock time");
      time.dateTime = `PT${seconds}S`;
      time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      if (seconds <= SOON && !warned) {
        warned = true;
        find("#clock").classList.add("soon");
        find("#soon").hidden = false;
        status.textContent = said.soon;
      }
      if (seconds === 0) gone();
    }

    // Texts to copy.
    async function copy(button, text) {
      const before = button.dataset.text ||= button.textContent;
      try {
        await navigator.clipboard.writeText(await text());
        button.textContent = said.copied;
      } catch {
        button.textContent = said.notCopied;
      }
      setTimeout(() => { button.textContent = before; }, 3000);
    }

    function addCopyButtons(part) {
      for (const block of part.querySelectorAll(".copy")) {
        const button = Object.assign(document.createElement("button"), { className: "button plain", type: "button", textContent: said.copy });
        button.addEventListener("click", () => copy(button, () => block.querySelector("pre").textContent));
        block.append(button);
      }
    }

    const table = find("table.rows") ? watchTable() : null;

    // What the server says while keys are probed.
    let tag = "", seen = said.seen;
    const running = () => find("#progress")?.dataset.running === "yes";
    const ending = () => find("#progress")?.dataset.running === "ending"; // all is said but that the keys are destroyed

    function take(html) {
      const page = parsed(html);
      find("#progress").replaceWith(page.querySelector("#progress"));
      if (table) table.take([...page.querySelectorAll("tr")]);
      else replaceKey(page.querySelector(".key"));
      arrange();
    }

    function replaceKey(key) {
      const open = all("#live details[open][id]").map((d) => d.id);
      const focused = document.activeElement.id;
      addCopyButtons(key);
      find("#live").replaceChildren(key);
      open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    }

    function arrange() {
      const { left, status } = find("#progress").dataset;
      countFrom(left);
      announce(status);
      const cancel = find("#cancel");
      if (!running() && cancel.contains(document.activeElement)) document.getElementById("main").focus({ preventScroll: true });
      cancel.hidden = !running();
    }

    async function poll(started) {
      if (signal.aborted) return;
      if (document.hidden) return setTimeout(poll, 1000, started);
      const address = table ? `${said.live}?since=${seen}` : said.live;
      const answer = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, signal }).catch(() => null);
      if (answer?.status === 404) return gone();
      const html = answer?.status === 200 ? await answer.text().catch(() => "") : "";
      if (signal.aborted) return;
      if (html) {
        tag = answer.headers.get("ETag") || "";
        seen = answer.headers.get("X-Seen-At") || seen;
        take(html);
      }
      const missed = table && seen && !running() && table.unfinished(); // a row that was written late
      if (missed) seen = "";
      if (running() || ending() || missed) setTimeout(poll, performance.now() - started < 20000 ? 400 : 1500, started);
    }

    // Many keys: rows that are filtered, sorted, opened and compared.
    function watchTable() {
      const body = find("table.rows tbody");
      const [verdict, provider, sort] = ["verdict", "provider", "sort"].map((name) => find(`#filter-${name}`));
      const standings = all("#tally rect").map((r) => r.dataset.standing);
      const say = (number) => number.toLocaleString(document.documentElement.lang);
      const rows = () => [...body.children].filter((row) => row.id);
      const opened = (row) => (row.nextElementSibling?.matches(".opened") ? row.nextElementSibling : null);
      const link = (row) => row.querySelector(".label a");
      const cell = (row, name) => row.querySelector(`.${name}`).textContent.trim();
      const collate = new Intl.Collator(document.documentElement.lang).compare;
      const orders = {
        line: () => 0,
        label: (row) => cell(row, "label"),
        whose: (row) => cell(row, "whose"),
        verdict: (row) => standings.indexOf(row.dataset.verdict),
        balance: (row) => -(row.dataset.amount || -Number.MAX_VALUE),
        models: (row) => -(cell(row, "models").replace(/\D/g, "") || -1),
      };

      function filter() {
        const wanted = verdict.selectedOptions[0].dataset.standings?.split(" ");
        let shown = 0;
        for (const row of rows()) {
          row.hidden = Boolean(wanted && !wanted.includes(row.dataset.verdict)) || Boolean(provider.value && provider.value !== row.dataset.provider);
          if (row.hidden) row.querySelector("input").checked = false;
          if (opened(row)) opened(row).hidden = row.hidden;
          shown += !row.hidden;
        }
        find("#shown").textContent = say(shown);
        find("#none").hidden = shown > 0;
        choose();
      }

      function order() {
        const focused = document.activeElement;
        const keyed = rows().map((row) => [orders[sort.value](row), row.dataset.number, row]);
        keyed.sort(([a, i], [b, j]) => (typeof a === "string" ? collate(a, b) : a - b) || i - j);
        body.append(...keyed.flatMap(([, , row]) => [row, opened(row)].filter(Boolean)));
        if (body.contains(focused)) focused.focus({ preventScroll: true });
        for (const head of all("thead [data-sort]")) {
          const down = ["balance", "models"].includes(sort.value) ? "descending" : "ascending";
          if (head.dataset.sort === sort.value) head.parentElement.setAttribute("aria-sort", down);
          else head.parentElement.removeAttribute("aria-sort");
        }
      }

      function tally() {
        const counts = {};
        for (const row of rows()) counts[row.dataset.verdict] = (counts[row.dataset.verdict] || 0) + 1;
        const unit = 1000 / Math.max(1, rows().length);
        let at = 0;
        for (const bar of all("#tally rect")) {
          const wide = (counts[bar.dataset.standing] || 0) * unit;
          bar.setAttribute("x", at);
          bar.setAttribute("width", Math.max(0, wide - 2));
          at += wide;
        }
        for (const entry of all("#tally li")) {
          const count = counts[entry.dataset.standing] || 0;
          entry.hidden = !count;
          entry.querySelector("b").textContent = say(count);
        }
      }

      // What was chosen goes into the address, so that a reload keeps it, and into the exports.
      function chosen() {
        const query = new URLSearchParams([["verdict", verdict.value], ["provider", provider.value]].filter(([, value]) => value));
        for (const a of all("a.export")) a.search = new URLSearchParams([["format", a.dataset.format], ...query]);
        for (const entry of all("#tally li")) {
          const a = entry.querySelector("a");
          if (entry.dataset.standing === verdict.value) a.setAttribute("aria-current", "true");
          else a.removeAttribute("aria-current");
        }
        if (sort.value !== "line") query.set("sort", sort.value);
        history.replaceState(history.state, "", said.check + (query.size ? `?${query}` : ""));
      }

      function pick(select, value) {
        select.value = value;
        chosen();
        if (select === sort) order();
        else filter();
      }

      // Compare
      function choose() {
        find("#compare button").disabled = body.querySelectorAll("input:checked").length !== 2;
      }

      // One key, in place
      async function open(row) {
        const answer = await fetch(link(row).href, { headers: { "X-Requested-With": "fetch" }, signal }).catch(() => null);
        if (signal.aborted) return;
        if (answer?.status === 404) return gone();
        if (!answer?.ok) return location.assign(link(row).href);
        const content = parsed(await answer.text());
        addCopyButtons(content);
        const place = opened(row) || parsed(`<tr class="opened" role="row"><td role="cell" aria-colspan="10" colspan="10"></td></tr>`).firstChild;
        const button = Object.assign(document.createElement("button"), { className: "button plain close", type: "button", textContent: said.close });
        place.firstChild.replaceChildren(content, button);
        row.after(place);
        link(row).setAttribute("aria-expanded", "true");
      }

      function close(row) {
        opened(row)?.remove();
        link(row).setAttribute("aria-expanded", "false");
        link(row).focus({ preventScroll: true });
        row.scrollIntoView({ block: "nearest" });
      }

      function prepare(row) {
        link(row).setAttribute("aria-expanded", String(Boolean(opened(row))));
      }

      // A row that is done changes no more; one that goes on is left as it is.
      function put(row) {
        const old = body.querySelector(`#${row.id}`);
        if (!old || old.dataset.verdict === row.dataset.verdict) return;
        const focused = old.contains(document.activeElement) ? document.activeElement.localName : "";
        row.querySelector("input").checked = old.querySelector("input").checked;
        old.replaceWith(row);
        prepare(row);
        if (focused) row.querySelector(focused).focus({ preventScroll: true });
        if (opened(row)) open(row);
      }

      rows().forEach(prepare);
      choose();
      on(find("#filters"), "change", (event) => pick(event.target, event.target.value));
      on(find("#filters"), "submit", (event) => event.preventDefault());
      on(body, "change", choose);
      on(report, "click", (event) => {
        const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
        const a = plain && event.target.closest("a");
        if (event.target.closest("button.close")) return close(event.target.closest("tr").previousElementSibling);
        if (!a) return;
        const standing = a.closest("#tally li")?.dataset.standing;
        if (standing) pick(verdict, verdict.value === standing ? "" : standing);
        else if (a.dataset.sort) pick(sort, a.dataset.sort);
        else if (a.closest("th.label")) (opened(a.closest("tr")) ? close : open)(a.closest("tr"));
        else return;
        event.preventDefault();
      });
      on(body, "keydown", (event) => {
        const place = event.key === "Escape" && event.target.closest("tr.opened");
        if (place) close(place.previousElementSibling);
      });

      return {
        unfinished: () => Boolean(body.querySelector("[data-verdict=running]")),
        take(arrived) {
          arrived.forEach(put);
          tally();
          filter();
          if (!running() && sort.value !== "line") order();
        },
      };
    }

    for (const button of navigator.clipboard ? all(".copy-export") : []) {
      button.hidden = false;
      on(button, "click", () => copy(button, () => testkey.file(button.parentElement.querySelector("a"))));
    }
    const clock = setInterval(tick, 500);
    on(signal, "abort", () => clearInterval(clock));
    on(document, "visibilitychange", tick);
    on(window, "pageshow", (event) => event.persisted && gone());
    addCopyButtons(report);
    countFrom(said.left);
    if (find("#progress")) arrange();
    tick();
    if (said.live && (running() || ending())) setTimeout(poll, 200, performance.now());
    return () => over.abort();
  }

  testkey.watch();
})();
