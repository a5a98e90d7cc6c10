import { useEffect } from "react";

// What has the focus may go, or be disabled: a button for what is over, a row that
// left. Then the nearest place around it that can have the focus takes it, the view
// in the end. Such a place is a group with tabIndex={-1}.
export function useKeptFocus() {
  useEffect(() => {
    let around: HTMLElement[] = []; // what has the focus, and what that is in

    function note({ target }: Event) {
      around = [];
      for (let at = target; at instanceof HTMLElement; at = at.parentElement) around.push(at);
    }
    // A click beside everything is meant: the focus that it takes is not given back.
    function forget() {
      around = [];
    }
    function look() {
      const [last, ...places] = around;
      if (!last || (last.isConnected && !last.matches(":disabled"))) return;
      const now = document.activeElement;
      if (now && now !== document.body && now !== last) return;
      const next = places.find((place) => place.isConnected && place.hasAttribute("tabindex"));
      (next ?? document.querySelector("main"))?.focus({ preventScroll: true });
    }

    const changes = new MutationObserver(look);
    changes.observe(document.body, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: ["disabled"],
    });
    document.addEventListener("focusin", note);
    document.addEventListener("pointerdown", forget, { capture: true });
    return () => {
      changes.disconnect();
      document.removeEventListener("focusin", note);
      document.removeEventListener("pointerdown", forget, { capture: true });
    };
  }, []);
}
