// Puts keys into a file that was downloaded, where their placeholders stand. The server has no key to put there:
// `keys` (number to key) is what this page still holds of the operator's own paste. Nothing leaves the browser.
(() => {
  const PLACEHOLDER = /(["'`])TESTKEY-KEY-(\d+)\1/g;
  const FORMULA = /^[=+\-@|%;＝＋－＠]/;

  const json = (key) => JSON.stringify(key);
  const csv = (key) => `"${FORMULA.test(key) ? "'" : ""}${key.replaceAll('"', '""')}"`;

  function markdown(key) {
    const longest = Math.max(0, ...(key.match(/`+/g) || []).map((run) => run.length));
    const fence = "`".repeat(longest + 1), pad = /^`|`$/.test(key) ? " " : "";
    return (fence + pad + key + pad + fence).replaceAll("|", "\\|");
  }

  // Between single quotes nothing has a meaning; between double quotes four characters do.
  const env = (key) => (/['\\]/.test(key) ? `"${key.replace(/[\\"$`]/g, "\\$&")}"` : `'${key}'`);

  const quoted = { csv, json, markdown, env, litellm: json, "new-api": json, "gpt-load": json };

  window.testkey = window.testkey || {};
  window.testkey.join = (text, format, keys) =>
    text.replace(PLACEHOLDER, (whole, _quote, number) =>
      keys.has(Number(number)) ? quoted[format](keys.get(Number(number))) : whole);
})();
