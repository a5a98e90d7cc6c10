import { Link } from "@tanstack/react-router";
import { NotCounted } from "../remediations/not-counted";
import { Later, later, useIdle } from "../ui/later";
import { navigation } from "./navigation";

// What knows of remediations comes after the first view.
const WaitingBadge = later(() => import("../remediations/waiting-badge"), "WaitingBadge");

export function SideNav({ open }: { open: boolean }) {
  const idle = useIdle();
  return (
    <nav
      id="navigation"
      aria-label="Views"
      className={`shrink-0 overflow-y-auto border-line bg-panel lg:block lg:w-52 lg:border-e ${open ? "border-b" : "hidden"}`}
    >
      <div className="flex flex-col gap-3 p-2 pt-3">
        {navigation.map(({ name: group, views }) => (
          <div key={group}>
            <p className="px-2.5 pb-1 text-xs font-medium text-soft">{group}</p>
            <ul className="flex flex-col gap-px">
              {views.map(({ to, name, Icon }) => (
                <li key={to}>
                  <Link
                    to={to}
                    activeOptions={{ exact: to === "/", includeSearch: false }}
                    className="flex items-center gap-2.5 rounded-md px-2.5 py-1.5 hover:bg-raised"
                    activeProps={{ className: "bg-raised font-semibold text-accent" }}
                  >
                    <Icon />
                    {name}
                    {to === "/approvals" && idle && (
                      <Later frame={(_, again) => <NotCounted again={again} />}>
                        <WaitingBadge />
                      </Later>
                    )}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </div>
    </nav>
  );
}
