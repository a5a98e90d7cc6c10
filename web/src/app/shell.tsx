import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { useSession } from "../api/session";
import { ClusterName } from "../cluster/cluster-name";
import { HealthGate } from "../cluster/health-gate";
import { MenuIcon, SearchIcon } from "../ui/icons";
import { Later, later } from "../ui/later";
import { Modal } from "../ui/modal";
import { SideNav } from "./side-nav";
import { SignOut } from "./sign-out";
import { ThemeSelect } from "./theme-select";
import { useKeptFocus } from "./use-kept-focus";
import { useShellKeys } from "./use-shell-keys";

const Login = later(() => import("../login/login-view"), "LoginView");
const Palette = later(() => import("./palette"), "Palette");

// Where a login comes back: shown to whoever is not known yet.
export const callbackPath = "/login/callback";

export function Shell() {
  const [menu, setMenu] = useState(false);
  const [palette, setPalette] = useState(false);
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const { refused } = useSession();
  const place = `${refused} ${pathname}`;
  const shown = useRef(place);
  const openPalette = useCallback(() => {
    void Palette.preload?.(); // anew, where it did not come the last time
    setPalette(true);
  }, []);
  const closePalette = useCallback(() => setPalette(false), []);
  useShellKeys(main, openPalette);
  useKeptFocus();

  // After a change of view, or a login in its place, the keyboard and what a screen
  // reader reads start at the view instead of at the link that is behind.
  useEffect(() => {
    if (shown.current === place) return;
    shown.current = place;
    setMenu(false);
    main.current?.focus();
    main.current?.scrollTo({ top: 0 });
  }, [place]);

  return (
    <div className="flex h-dvh flex-col">
      <button
        type="button"
        className="field absolute top-1 left-1 z-50 not-focus:sr-only"
        onClick={() => main.current?.focus()}
      >
        Skip to the content
      </button>
      <header className="flex items-center gap-3 border-b border-line bg-panel px-3 py-2 lg:px-4">
        <button
          type="button"
          className="field px-2 lg:hidden"
          aria-expanded={menu}
          aria-controls="navigation"
          onClick={() => setMenu(!menu)}
        >
          <MenuIcon />
          <span className="sr-only">Menu</span>
        </button>
        <Link to="/" className="flex shrink-0 items-center gap-2 font-semibold">
          <img src="/favicon.svg" alt="" className="size-6" />
          <span className="max-sm:sr-only">Right-Sizer</span>
        </Link>
        <ClusterName />
        <div className="ms-auto flex items-center gap-2">
          <button
            type="button"
            className="field inline-flex items-center gap-2 text-soft"
            onClick={openPalette}
          >
            <SearchIcon />
            <span className="max-sm:sr-only">Go to</span>
            <kbd className="rounded border border-line px-1 text-xs max-md:hidden">
              {mac ? "⌘K" : "Ctrl K"}
            </kbd>
          </button>
          <ThemeSelect />
          <SignOut />
        </div>
      </header>
      <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
        <SideNav open={menu} />
        <main
          id="main"
          ref={main}
          tabIndex={-1}
          className="flex min-w-0 flex-1 flex-col gap-4 overflow-y-auto p-3 -outline-offset-2 lg:p-5"
        >
          {pathname === callbackPath ? (
            <Outlet />
          ) : refused ? (
            <Later>
              <Login />
            </Later>
          ) : (
            <HealthGate>
              <Outlet />
            </HealthGate>
          )}
        </main>
      </div>
      {palette && (
        <Later
          frame={(notice) => (
            <Modal title="Go to" close={closePalette}>
              {notice}
            </Modal>
          )}
        >
          <Palette close={closePalette} />
        </Later>
      )}
    </div>
  );
}

const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);
