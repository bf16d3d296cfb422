import { columnOrderingFeature, columnSizingFeature, columnVisibilityFeature, tableFeatures, useTable } from "@tanstack/react-table";
import { useEffect, useMemo, useRef, useState } from "react";

import { isUntouched, type KeptColumns, keptColumns, NARROWEST, WIDEST } from "../text/kept-columns.ts";
import { Icon } from "./icon.tsx";

/** Which columns of a list are shown, how wide, and in which order: this browser remembers it for each list. */

const FEATURES = tableFeatures({ columnVisibilityFeature, columnSizingFeature, columnOrderingFeature });
const STEP = 24;
const NO_ROWS: object[] = [];

interface Shape { id: string; title: string; width: string; from?: number }
export interface Arrangement<C> {
  /** in order, without those that are hidden or have no room */
  shown: C[];
  all: { id: string; title: string; visible: boolean }[];
  template: string;
  touched: boolean;
  show: (id: string, visible: boolean) => void;
  size: (id: string, px: number) => void;
  move: (id: string, by: number) => void;
  reset: () => void;
}

function fitting<C extends Shape>(columns: C[], names: string, width: number): C[] {
  const known = new Map(columns.map((column) => [column.id, column]));
  return names.split("\n").flatMap((id) => known.get(id) ?? []).filter((column) => width === 0 || (column.from ?? 0) <= width);
}

export function useColumns<C extends Shape>(label: string, columns: C[], width: number): Arrangement<C> {
  const place = `iii-columns ${label}`;
  const [kept, setKept] = useState(() => keptColumns(localStorage.getItem(place)));
  const keep = (next: KeptColumns): void => {
    setKept(next);
    if (isUntouched(next)) localStorage.removeItem(place);
    else localStorage.setItem(place, JSON.stringify(next));
  };
  const definitions = useMemo(() => columns.map((column, index) => ({ id: column.id, header: column.title, enableHiding: index > 0, accessorFn: () => null })), [columns]);
  const table = useTable({
    features: FEATURES,
    columns: definitions,
    data: NO_ROWS,
    state: { columnVisibility: kept.hidden, columnSizing: kept.sizes, columnOrder: kept.order },
    onColumnVisibilityChange: (change) => { const next = typeof change === "function" ? change(kept.hidden) : change; keep({ ...kept, hidden: Object.fromEntries(Object.entries(next).filter(([, shown]) => !shown)) }); },
    onColumnSizingChange: (change) => keep({ ...kept, sizes: typeof change === "function" ? change(kept.sizes) : change }),
    onColumnOrderChange: (change) => keep({ ...kept, order: typeof change === "function" ? change(kept.order) : change }),
  });
  const ordered = table.getAllLeafColumns().map((column) => column.id);
  const visible = table.getVisibleLeafColumns().map((column) => column.id);
  const names = visible.join("\n");
  // eslint-disable-next-line react-hooks/preserve-manual-memoization -- not compiled
  const shown = useMemo(() => fitting(columns, names, width), [columns, names, width]);
  const titles = new Map(columns.map((column) => [column.id, column.title]));
  return {
    shown,
    all: ordered.filter((id) => titles.get(id)).map((id) => ({ id, title: titles.get(id) ?? "", visible: visible.includes(id) })),
    template: shown.map((column) => (kept.sizes[column.id] === undefined ? column.width : `${kept.sizes[column.id]}px`)).join(" "),
    touched: !isUntouched(kept),
    show: (id, on) => table.getColumn(id)?.toggleVisibility(on),
    size: (id, px) => table.setColumnSizing((old) => ({ ...old, [id]: Math.round(Math.max(NARROWEST, Math.min(WIDEST, px))) })),
    move: (id, by) => {
      const from = ordered.indexOf(id);
      const to = Math.max(0, Math.min(ordered.length - 1, from + by));
      const next = ordered.filter((other) => other !== id);
      next.splice(to, 0, id);
      table.setColumnOrder(next);
    },
    reset: () => keep({ hidden: {}, sizes: {}, order: [] }),
  };
}

/** The edge of a heading: it is dragged, or moved by keys from the list of columns. */
export function Edge({ onSize }: { onSize: (px: number) => void }) {
  const begun = useRef<{ x: number; px: number } | null>(null);
  return (
    <i
      className="edge"
      aria-hidden="true"
      onPointerDown={(event) => {
        const heading = event.currentTarget.parentElement;
        if (!heading) return;
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        begun.current = { x: event.clientX, px: heading.getBoundingClientRect().width };
      }}
      onPointerMove={(event) => { if (begun.current) onSize(begun.current.px + event.clientX - begun.current.x); }}
      onPointerUp={() => { begun.current = null; }}
      onPointerCancel={() => { begun.current = null; }}
    />
  );
}

export function ColumnsMenu({ label, of, widthOf }: { label: string; of: Pick<Arrangement<Shape>, "all" | "touched" | "show" | "size" | "move" | "reset">; widthOf: (id: string) => number | null }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const close = (event: Event): void => {
      if (event instanceof KeyboardEvent) {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        button.current?.focus();
      } else if (box.current?.contains(event.target as Node)) return;
      setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close, true);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close, true);
    };
  }, [open]);
  return (
    <div className="columns-menu" ref={box}>
      <button ref={button} type="button" className="button plain small icon" aria-label={`Columns of ${label}`} title="Columns: show, order, width" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="configuration" size={14} />
      </button>
      {open ? (
        <div className="menu" role="group" aria-label={`Columns of ${label}`}>
          {of.all.map((column, index) => {
            const width = widthOf(column.id);
            return (
              <div key={column.id} className="row menu-line">
                <label className="check grow"><input type="checkbox" checked={column.visible} disabled={index === 0 && column.visible && of.all.filter((each) => each.visible).length === 1} onChange={(event) => of.show(column.id, event.target.checked)} />{column.title}</label>
                <button type="button" className="button plain small icon" aria-label={`Narrower: ${column.title}`} title="Narrower" disabled={width === null} onClick={() => of.size(column.id, (width ?? 0) - STEP)}>−</button>
                <button type="button" className="button plain small icon" aria-label={`Wider: ${column.title}`} title="Wider" disabled={width === null} onClick={() => of.size(column.id, (width ?? 0) + STEP)}>+</button>
                <button type="button" className="button plain small icon" aria-label={`Earlier: ${column.title}`} title="Earlier" disabled={index === 0} onClick={() => of.move(column.id, -1)}><Icon name="up" size={12} /></button>
                <button type="button" className="button plain small icon" aria-label={`Later: ${column.title}`} title="Later" disabled={index === of.all.length - 1} onClick={() => of.move(column.id, 1)}><Icon name="down" size={12} /></button>
              </div>
            );
          })}
          <button type="button" className="button small" disabled={!of.touched} onClick={of.reset}>As it was</button>
        </div>
      ) : null}
    </div>
  );
}
