import { useQuery } from "@connectrpc/connect-query";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { keepPreviousData } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useDeferredValue, useEffect, useId, useState } from "react";
import { explain } from "../api/failure";
import { visible } from "../format/visible";
import { SearchIcon, WorkloadIcon } from "../ui/icons";
import { singleKeys, turnSingleKeys } from "../ui/keys";
import { useModal } from "../ui/use-modal";
import { views } from "./navigation";
import { applyTheme, themes } from "./theme";

interface Command {
  key: string;
  name: string;
  hint: string;
  Icon: typeof SearchIcon;
  run(): void;
}

// Palette goes anywhere by a few letters: a view, a workload, a theme. It turns single keys off.
export function Palette({ close }: { close: () => void }) {
  const id = useId();
  const dialog = useModal();
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const { commands, note } = useCommands(text);
  const at = Math.min(active, commands.length - 1);
  const option = (index: number) => `${id}-${index}`;

  useEffect(() => {
    document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [id, at]);

  function run(command: Command | undefined) {
    if (!command) return;
    close();
    command.run();
  }

  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      aria-label="Go to"
      onClose={close}
      className="mx-auto mt-[12dvh] w-[min(36rem,94vw)] rounded-lg border border-line bg-panel p-0 text-ink shadow-xl backdrop:bg-[rgb(0_0_0/0.5)]"
    >
      <div className="flex items-center gap-2 border-b border-line px-3 -outline-offset-2 outline-accent has-focus-visible:outline-2">
        <SearchIcon className="size-4 text-soft" />
        <input
          role="combobox"
          aria-label="View, workload or theme"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-activedescendant={commands.length > 0 ? option(at) : undefined}
          autoComplete="off"
          spellCheck={false}
          placeholder="View, workload or theme"
          className="h-11 min-w-0 flex-1 bg-transparent outline-none"
          value={text}
          onChange={(change) => {
            setText(change.target.value);
            setActive(0);
          }}
          onKeyDown={(press) => {
            if (press.key === "ArrowDown") setActive(Math.min(commands.length - 1, at + 1));
            else if (press.key === "ArrowUp") setActive(Math.max(0, at - 1));
            else if (press.key === "Enter") run(commands[at]);
            else return;
            press.preventDefault();
          }}
        />
        <kbd className="rounded border border-line px-1 text-xs text-soft">Esc</kbd>
      </div>
      <ul
        id={`${id}-list`}
        role="listbox"
        aria-label="Found"
        className="max-h-[50dvh] overflow-y-auto p-1.5"
      >
        {commands.map((command, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the combobox has the keys
          <li
            key={command.key}
            id={option(index)}
            role="option"
            aria-selected={index === at}
            className="flex cursor-pointer items-center gap-2.5 rounded-md px-2.5 py-1.5 hover:bg-raised aria-selected:bg-raised aria-selected:text-accent"
            onClick={() => run(command)}
          >
            <command.Icon />
            <bdi className="min-w-0 truncate font-medium">{visible(command.name)}</bdi>
            <bdi className="ms-auto truncate text-xs text-soft">{visible(command.hint)}</bdi>
          </li>
        ))}
      </ul>
      <p role="status" className="px-4 text-soft not-empty:py-2">
        {note}
      </p>
      <p className="flex flex-wrap gap-x-4 gap-y-1 border-t border-line px-3 py-2 text-xs text-soft">
        <span>↑ ↓ choose</span>
        <span>Enter go</span>
        <span>
          {singleKeys() ? "In a view: / search, j k walk rows" : "Single keys (/ j k) are off"}
        </span>
      </p>
    </dialog>
  );
}

// The commands by that name, and what there is to say of them.
function useCommands(text: string): { commands: Command[]; note: string } {
  const navigate = useNavigate();
  const wanted = text.trim().toLowerCase();
  const asked = useDeferredValue(wanted);
  const { data, error, isPlaceholderData, isPending } = useQuery(
    WorkloadService.method.listWorkloads,
    { nameContains: asked.slice(0, 253), pageSize: 12, allowedOnly: true },
    { enabled: asked.length >= 2, placeholderData: keepPreviousData, retry: false },
  );
  const fixed: Command[] = [
    ...views.map(({ to, name, Icon }) => ({
      key: to,
      name,
      hint: "view",
      Icon,
      run: () => void navigate({ to }),
    })),
    ...themes.map((theme) => ({
      key: theme,
      name: `Theme: ${theme}`,
      hint: "look",
      Icon: SearchIcon,
      run: () => applyTheme(theme),
    })),
  ];
  const on = singleKeys();
  fixed.push({
    key: "single-keys",
    name: `Single keys / j k: turn ${on ? "off" : "on"}`,
    hint: "keyboard",
    Icon: SearchIcon,
    run: () => turnSingleKeys(!on),
  });
  const found = (data?.workloads ?? []).map(({ namespace, ref }) => ({
    key: `${namespace}/${ref?.kind}/${ref?.name}`,
    name: ref?.name ?? "",
    hint: `${ref?.kind} in ${namespace}`,
    Icon: WorkloadIcon,
    run: () =>
      void navigate({
        to: "/workloads/$namespace/$kind/$name",
        params: { namespace, kind: ref?.kind ?? "", name: ref?.name ?? "" },
      }),
  }));
  const withWorkloads = wanted.length >= 2;
  // What is there may be the answer to an earlier text.
  const commands = [...fixed, ...(withWorkloads ? found : [])].filter(({ name }) =>
    name.toLowerCase().includes(wanted),
  );
  if (withWorkloads && error)
    return { commands, note: `Workloads are not shown: ${explain(error).title.toLowerCase()}.` };
  if (withWorkloads && (isPending || isPlaceholderData || asked !== wanted))
    return { commands, note: "Looking for workloads" };
  return { commands, note: commands.length === 0 ? "Nothing by that name that you may read." : "" };
}
