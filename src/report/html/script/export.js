// Names for other programs: commands for a shell, and cells of a CSV file.

// What could control a terminal, or hide or reorder text.
const UNSEEN = /[\p{Cc}\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;

/** A name as one word for a shell. */
function quoted(word) {
  if (word.startsWith("-")) word = `./${word}`;
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (!UNSEEN.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  const escape = (letter) => {
    if (letter === "\\" || letter === "'") return `\\${letter}`;
    if (letter === "\n") return "\\n";
    return UNSEEN.test(letter) ? `\\u${letter.codePointAt(0).toString(16).padStart(4, "0")}` : letter;
  };
  return `$'${[...word].map(escape).join("")}'`;
}

/** A fix with the real names of the asset and of the fixed file in place of `IN` and `OUT`. */
function withNames(fix, label) {
  // Commands of az have the name already, and prose has none.
  if (fix.startsWith("az ") || /^[A-Z]/.test(fix)) return fix;
  const [, stem, extension] = /^(.*?)(\.[^./]*)?$/s.exec(label);
  const place = (_, before, word) => {
    const wanted = /^OUT(\..+)$/.exec(word)?.[1] ?? extension ?? "";
    return before + quoted(word === "IN" ? label : `${stem}-fixed${wanted}`);
  };
  return fix.replace(/(^|[\s(])(IN|OUT(?:\.\w+)?)(?=$|[\s)])/g, place);
}

/** Text for a cell. Wherever a spreadsheet could see a cell begin with a formula, an apostrophe comes first. */
function cell(text) {
  text = text.replace(/^[=+\-@＝＋－＠\t\r\n]/, "'$&");
  text = text.replace(/([;\t|\r\n])(?=[ "]*[=+\-@＝＋－＠])/g, "$1'");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A CSV file (RFC 4180) with a row for each asset of these findings. */
function csv(found) {
  const byName = new Map();
  for (const { real, verdict, rule } of found) {
    const asset = byName.get(real) ?? { verdict, codes: new Set() };
    asset.codes.add(rule.code);
    byName.set(real, asset);
  }
  const lines = [...byName].map(([real, { verdict, codes }]) =>
    [real, VERDICTS[verdict].word, [...codes].join(";")].map(cell).join(","),
  );
  return ["name,verdict,codes", ...lines, ""].join("\r\n");
}

/** Lets the user save a text as a file. */
function download(text, file) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  el("a", { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
