// html-validate 9 does not know yet that an expected link may block rendering (HTML standard, 4.6.7.9).
const link = { inherit: "link", attributes: { blocking: { enum: ["render"], list: true, allowed: () => null } } };

export default { root: true, extends: ["html-validate:standard"], elements: ["html5", { link }] };
