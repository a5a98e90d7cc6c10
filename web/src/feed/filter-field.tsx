import { useEffect, useId, useRef, useState } from "react";

interface Props {
  label: string;
  example: string;
  value: string;
  fault: string | undefined;
  suggestions: readonly string[];
  onCommit: (value: string) => void;
}

// A filter that the server applies: each change reopens the stream, so it counts
// when the reader is done: on Enter, on leaving, or when a suggestion is taken.
export function FilterField({ label, example, value, fault, suggestions, onCommit }: Props) {
  const id = useId();
  const [draft, setDraft] = useState(value);
  const typed = useRef(false);

  // The URL may change by itself: back, clear, a link.
  useEffect(() => setDraft(value), [value]);

  function commit(text: string) {
    typed.current = false;
    if (text.trim() !== value) onCommit(text.trim());
  }

  return (
    <div className="flex min-w-0 flex-col gap-0.5 max-sm:grow">
      <label htmlFor={id} className="text-xs text-soft">
        {label}
      </label>
      <input
        id={id}
        className="field"
        list={`${id}-seen`}
        placeholder={example}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        value={draft}
        aria-invalid={fault !== undefined}
        aria-describedby={fault ? `${id}-fault` : undefined}
        onKeyDown={(press) => {
          typed.current = press.key.length === 1 || press.key === "Backspace";
          if (press.key === "Enter") commit(draft);
        }}
        onChange={(change) => {
          setDraft(change.target.value);
          // Without a key before it, it is a suggestion that was taken.
          if (!typed.current && suggestions.includes(change.target.value))
            commit(change.target.value);
        }}
        onBlur={() => commit(draft)}
      />
      <datalist id={`${id}-seen`}>
        {suggestions.map((suggestion) => (
          <option key={suggestion} value={suggestion} />
        ))}
      </datalist>
      {fault && (
        <p id={`${id}-fault`} role="alert" className="text-xs text-error">
          {fault}. It is not in force.
        </p>
      )}
    </div>
  );
}
