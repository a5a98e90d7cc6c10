import { type RefObject, useLayoutEffect, useRef } from "react";

// Shows a <dialog> over the view while it is mounted. The browser keeps the focus in
// it and gives it back as it closes; a layout effect, since it must close while it
// is still in the document.
export function useModal(): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return dialog;
}
