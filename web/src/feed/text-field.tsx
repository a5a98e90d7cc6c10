import { useEffect, useId, useRef, useState } from "react";

interface Props {
  value: string; // as the URL has it
  onChange: (value: string) => void;
}

// The text filter, in force as it is typed. The URL follows only a moment later: what
// is typed stands meanwhile, or the caret would jump and a composition break.
export function TextField({ value, onChange }: Props) {
  const id = useId();
  const [draft, setDraft] = useState(value);
  const sent = useRef<string[]>([]); // what the URL does not say yet

  useEffect(() => {
    const own = sent.current.indexOf(value);
    sent.current = own < 0 ? [] : sent.current.slice(own + 1);
    // It may change by itself, too: back, clear, a link.
    if (own < 0) setDraft(value);
  }, [value]);

  function type(text: string) {
    setDraft(text);
    sent.current = text === value ? [] : [...sent.current, text];
    onChange(text);
  }

  return (
    <div className="flex min-w-0 flex-col gap-0.5">
      <label htmlFor={id} className="text-xs text-soft">
        Text <kbd className="rounded border border-line px-1 max-md:hidden">/</kbd>
      </label>
      <input
        id={id}
        type="search"
        className="field"
        placeholder="in the rows below"
        value={draft}
        onChange={(change) => type(change.target.value)}
      />
    </div>
  );
}
