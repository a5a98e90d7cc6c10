import type { ReactNode } from "react";
import { CloseIcon } from "./icons";
import { useModal } from "./use-modal";

interface Props {
  title: string;
  close: () => void;
  children: ReactNode;
  wide?: boolean;
}

// A dialog over the view.
export function Modal({ title, close, children, wide = false }: Props) {
  const dialog = useModal();
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      aria-label={title}
      onClose={close}
      className={`m-auto max-h-[92dvh] overflow-y-auto rounded-lg border border-line bg-panel p-4 text-ink backdrop:bg-[rgb(0_0_0/0.5)] ${wide ? "w-[min(56rem,94vw)]" : "w-[min(36rem,94vw)]"}`}
    >
      <div className="mb-3 flex items-center justify-between gap-2">
        <h2 className="text-base font-semibold">{title}</h2>
        <button type="button" className="field px-2" onClick={close}>
          <CloseIcon />
          <span className="sr-only">Close</span>
        </button>
      </div>
      {children}
    </dialog>
  );
}
