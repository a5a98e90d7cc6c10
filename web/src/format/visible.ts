// Text from pods is written by whoever runs code in the cluster. React renders
// it as text, never as markup; what is left are characters that change how other
// text looks: control characters, bidirectional overrides, zero-width ones. They
// are shown as what they are instead of being obeyed or dropped.

// C0, DEL and C1; soft hyphen; Arabic letter mark; Mongolian vowel separator;
// zero-width and directional marks; line and paragraph separators, embeddings and
// overrides; invisible operators and isolates; variation-free byte order mark;
// interlinear annotations; tags.
const hidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

export function visible(text: string): string {
  return text.replace(hidden, mark);
}

function mark(character: string): string {
  if (character === "\n") return "⏎";
  if (character === "\t") return "⇥";
  const code = character.codePointAt(0) ?? 0;
  // Unicode has a picture for each C0 control, and one for DEL.
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
