interface Props<Value extends string> {
  label: string;
  options: readonly { value: Value; name: string; count?: string | undefined }[];
  value: Value;
  onChange: (value: Value) => void;
}

// A few answers of which one holds. Each is positioned, so that the hidden input is
// where it is seen and the view scrolls to it.
export function Choice<Value extends string>({ label, options, value, onChange }: Props<Value>) {
  return (
    <fieldset className="flex flex-wrap gap-px overflow-hidden rounded-md border border-edge bg-line">
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          className="relative flex min-h-[1.875rem] flex-1 cursor-pointer items-center justify-center gap-1.5 bg-panel px-2.5 whitespace-nowrap has-checked:bg-raised has-checked:font-semibold has-checked:text-accent has-focus-visible:outline-2 has-focus-visible:-outline-offset-2 has-focus-visible:outline-accent"
        >
          <input
            type="radio"
            className="sr-only"
            name={label}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          {option.name}
          {option.count && <span className="text-xs text-soft tabular-nums">{option.count}</span>}
        </label>
      ))}
    </fieldset>
  );
}
