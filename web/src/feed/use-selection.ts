import type { Event } from "@rightsizer/api/event";
import { useCallback, useMemo, useState } from "react";
import type { Row } from "./feed-state";

// Which row the keyboard is on, and which event is open. Rows are oldest first;
// on the page the newest is on top, so that "down" goes to older ones.
export interface Selection {
  activeKey: string | undefined;
  opened: Event | undefined;
  activate(key: string): void;
  move(by: number): void;
  open(row: Row): void;
  openActive(): void;
  close(): void;
}

// A panel that closes leaves the focus nowhere: closed() puts it somewhere.
export function useSelection(rows: readonly Row[], closed?: () => void): Selection {
  const [activeKey, setActiveKey] = useState<string>();
  const [opened, setOpened] = useState<Event>();

  const move = useCallback(
    (by: number) => {
      const at = rows.findIndex((row) => row.key === activeKey);
      const start = at === -1 ? rows.length : at;
      const next = rows[Math.min(rows.length - 1, Math.max(0, start - by))];
      if (!next) return;
      setActiveKey(next.key);
      // An open panel follows, so that one can walk through events.
      if (next.event) setOpened((event) => event && next.event);
    },
    [rows, activeKey],
  );

  const open = useCallback((row: Row) => {
    setActiveKey(row.key);
    if (row.event) setOpened(row.event);
  }, []);

  const openActive = useCallback(() => {
    const row = rows.find(({ key }) => key === activeKey);
    if (row) open(row);
  }, [rows, activeKey, open]);

  const close = useCallback(() => {
    setOpened(undefined);
    closed?.();
  }, [closed]);
  return useMemo(
    () => ({ activeKey, opened, activate: setActiveKey, move, open, openActive, close }),
    [activeKey, opened, move, open, openActive, close],
  );
}
