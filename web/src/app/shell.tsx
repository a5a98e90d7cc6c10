import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { ClusterName } from "../cluster/cluster-name";
import { HealthGate } from "../cluster/health-gate";
import { MenuIcon } from "../ui/icons";
import { navigation } from "./navigation";
import { ThemeSelect } from "./theme-select";

export function Shell() {
  const [menu, setMenu] = useState(false);
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const shown = useRef(pathname);

  // After a change of view the keyboard, and what a screen reader reads, start
  // at the view instead of at the link that is behind.
  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    setMenu(false);
    main.current?.focus();
  }, [pathname]);

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
        <div className="ms-auto">
          <ThemeSelect />
        </div>
      </header>
      <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
        <nav
          id="navigation"
          aria-label="Views"
          className={`border-line bg-panel lg:block lg:w-44 lg:border-e ${menu ? "border-b" : "hidden"}`}
        >
          <ul className="flex flex-col gap-0.5 p-2">
            {navigation.map(({ to, name }) => (
              <li key={to}>
                <Link
                  to={to}
                  activeOptions={{ exact: to === "/", includeSearch: false }}
                  className="block rounded px-3 py-1.5 hover:bg-raised"
                  activeProps={{ className: "bg-raised font-semibold text-accent" }}
                >
                  {name}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <main
          id="main"
          ref={main}
          tabIndex={-1}
          className="flex min-w-0 flex-1 flex-col gap-3 overflow-y-auto p-3 outline-none lg:p-4"
        >
          <HealthGate>
            <Outlet />
          </HealthGate>
        </main>
      </div>
    </div>
  );
}
