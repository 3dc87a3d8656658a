// Fills the report as findings arrive, counts the clock down, and empties the page at 0:00.
// Everything works without this file.
(() => {
  const report = document.getElementById("report");
  const status = document.getElementById("status");
  let tag = "", ends = 0, over = false;

  const gone = () => location.replace(report.dataset.check);
  // The wall clock: another clock stands still while the machine sleeps.
  const left = () => Math.max(0, Math.ceil((ends - Date.now()) / 1000));

  function arrange() {
    const head = report.querySelector(".report-head");
    if (status.textContent !== head.dataset.status) status.textContent = head.dataset.status;
    ends = Date.now() + head.dataset.left * 1000;
    report.querySelectorAll(".without-script").forEach((p) => p.remove());
    report.querySelectorAll(".copy").forEach((block) => {
      const button = Object.assign(document.createElement("button"), { className: "button plain", textContent: report.dataset.copy });
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(block.querySelector("pre").textContent);
        button.textContent = report.dataset.copied;
      });
      block.append(button);
    });
  }

  async function poll(started) {
    if (over) return;
    if (document.hidden) return setTimeout(poll, 1000, started);
    const response = await fetch(report.dataset.live, { headers: tag ? { "If-None-Match": tag } : {} }).catch(() => null);
    if (over) return;
    if (response && response.status === 404) return gone();
    if (response && response.status === 200) {
      tag = response.headers.get("ETag") || "";
      const text = await response.text();
      const open = [...report.querySelectorAll("details[open][id]")].map((d) => d.id);
      const filled = [...report.querySelectorAll("form [id]")].map((f) => [f.id, f.value]);
      const focused = document.activeElement.id;
      report.innerHTML = text;
      open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
      filled.forEach(([id, value]) => Object.assign(document.getElementById(id) || {}, { value }));
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      arrange();
    }
    if (report.querySelector(".report-head").dataset.running !== "yes") return;
    setTimeout(poll, performance.now() - started < 10000 ? 400 : 2000, started);
  }

  function tick() {
    if (over) return;
    const seconds = left();
    const time = report.querySelector("#clock time");
    if (time) time.dateTime = `PT${seconds}S`;
    if (time) time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    report.querySelector("#clock")?.classList.toggle("soon", seconds <= 60);
    if (seconds === 0) {
      over = true;
      report.replaceChildren();
      return gone();
    }
  }

  setInterval(tick, 500);
  addEventListener("visibilitychange", tick);
  addEventListener("pageshow", (event) => event.persisted && gone());
  arrange();
  tick();
  if (report.dataset.running === "yes") setTimeout(poll, 200, performance.now());
})();
