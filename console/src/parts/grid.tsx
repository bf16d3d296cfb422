import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "react";

import { ColumnsMenu, Edge, useColumns } from "./columns.tsx";
import { useKeys } from "./keys.ts";

/** A list of any length: only the rows in sight are in the document. `j`/`k`, arrows and Enter work in it. */

export interface Column<Row> {
  id: string;
  title: string;
  /** a track of a CSS grid: `minmax(160px, 2fr)`, `80px` */
  width: string;
  cell: (row: Row) => React.ReactNode;
  end?: boolean;
  /** shown if the list is at least so wide, in pixels */
  from?: number;
  sort?: boolean;
}

export interface Order { by: string; descending: boolean }

interface GridProps<Row> {
  label: string;
  columns: Column<Row>[];
  total: number;
  rowAt: (index: number) => Row | undefined;
  keyOf: (row: Row) => string | number;
  selected?: string | number | null;
  onSelect?: ((row: Row) => void) | undefined;
  order?: Order | null;
  onOrder?: (order: Order) => void;
  onRange?: (first: number, last: number) => void;
  tone?: (row: Row) => string;
  empty?: React.ReactNode;
  loading?: boolean;
  height?: number;
  /** stay at the end while rows come (logs, newest last) */
  tail?: boolean;
}

const ROW = 34;
const OVERSCAN = 8;

function useWidth(): [React.RefObject<HTMLDivElement | null>, number] {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const watched = element.current;
    if (!watched) return;
    const observer = new ResizeObserver(() => setWidth(watched.clientWidth));
    observer.observe(watched);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

function Heading<Row>({ column, order, onOrder, onSize }: { onSize: (px: number) => void; column: Column<Row>; order: Order | null | undefined; onOrder: ((order: Order) => void) | undefined }) {
  const active = order?.by === column.id;
  const direction = active ? (order.descending ? "descending" : "ascending") : undefined;
  return (
    <div role="columnheader" data-column={column.id} className={column.end ? "heading end" : "heading"} aria-sort={direction}>
      {column.sort && onOrder ? (
        <button type="button" onClick={() => onOrder({ by: column.id, descending: active ? !order.descending : column.end === true })}>
          {column.title}
          {active ? <span aria-hidden="true">{order.descending ? "↓" : "↑"}</span> : null}
        </button>
      ) : (
        <span className="cut">{column.title}</span>
      )}
      <Edge onSize={onSize} />
    </div>
  );
}

interface LineProps<Row> { id: string; index: number; start: number; size: number; row: Row | undefined; columns: Column<Row>[]; selected: boolean; cursor: boolean; tone: string; onChoose: (index: number, row: Row | undefined) => void }

function PlainLine<Row>({ id, index, start, size, row, columns, selected, cursor, tone, onChoose }: LineProps<Row>) {
  return (
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus -- keys are the grid's
    <div
      id={id}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      className={`line ${cursor ? "cursor" : ""} ${tone}`}
      style={{ height: size, transform: `translateY(${start}px)` }}
      onClick={(event) => {
        if (!(event.target as HTMLElement).closest("a, button, input")) onChoose(index, row);
      }}
    >
      {row === undefined ? (
        <div role="gridcell" className="bone" aria-label="loading" />
      ) : (
        columns.map((column) => (
          <div role="gridcell" key={column.id} className={column.end ? "cell end" : "cell"}>
            {column.cell(row)}
          </div>
        ))
      )}
    </div>
  );
}

/** A row that scrolls is not drawn again: only those that come into sight are. */
const Line = memo(PlainLine) as typeof PlainLine;

export function Grid<Row>({ label, columns, total, rowAt, keyOf, selected, onSelect, order, onOrder, onRange, tone, empty, loading, height = ROW, tail = false }: GridProps<Row>) {
  const [scroller, width] = useWidth();
  const name = useId();
  const [cursor, setCursor] = useState(-1);
  const arranged = useColumns(label, columns, width);
  const shown = arranged.shown;
  const widthOf = (id: string): number | null => scroller.current?.querySelector(`[data-column="${CSS.escape(id)}"]`)?.getBoundingClientRect().width ?? null;
  const select = useRef(onSelect);
  useEffect(() => {
    select.current = onSelect;
  });
  const choose = useCallback((index: number, row: Row | undefined) => {
    setCursor(index);
    if (row !== undefined) select.current?.(row);
  }, []);
  const count = loading ? 14 : total;
  // eslint-disable-next-line react-hooks/incompatible-library -- not compiled
  const rows = useVirtualizer({ count, getScrollElement: () => scroller.current, estimateSize: () => height, overscan: OVERSCAN, paddingEnd: 24, useFlushSync: false });
  const items = rows.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items[items.length - 1]?.index ?? 0;

  useEffect(() => onRange?.(first, last), [onRange, first, last]);

  const atEnd = useRef(true);
  useEffect(() => {
    if (tail && atEnd.current && total > 0) rows.scrollToIndex(total - 1, { align: "end" });
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only new rows scroll
  }, [tail, total]);

  const move = useCallback(
    (by: number) => {
      if (total === 0) return;
      const next = Math.max(0, Math.min(total - 1, cursor < 0 ? (by > 0 ? 0 : total - 1) : cursor + by));
      setCursor(next);
      rows.scrollToIndex(next);
    },
    [cursor, rows, total],
  );
  const open = (): void => {
    const row = rowAt(cursor);
    if (row !== undefined) onSelect?.(row);
  };
  useKeys({ j: () => move(1), k: () => move(-1), Enter: (event) => {
    const target = event.target as HTMLElement;
    if (["BUTTON", "A", "SUMMARY"].includes(target.tagName)) target.click();
    else open();
  } });
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.target !== scroller.current) return;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -total, End: total };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      move(step);
    }
  };

  return (
    <div className="grid-box">
    <ColumnsMenu label={label} of={arranged} widthOf={widthOf} />
    <div
      ref={scroller}
      className="grid"
      role="grid"
      aria-label={label}
      aria-rowcount={total + 1}
      aria-colcount={shown.length}
      aria-busy={loading}
      aria-activedescendant={cursor >= first && cursor <= last && cursor >= 0 && total > 0 ? `${name}-${cursor}` : undefined}
      tabIndex={0}
      style={{ "--columns": arranged.template } as React.CSSProperties}
      onKeyDown={onKeyDown}
      onScroll={() => {
        // Out of what is known: asking the element would have it laid out again in the midst of each frame
        atEnd.current = rows.getTotalSize() - (rows.scrollOffset ?? 0) - (rows.scrollRect?.height ?? 0) < height * 2;
      }}
    >
      <div className="grid-head" role="row" aria-rowindex={1}>
        {shown.map((column) => (
          <Heading key={column.id} column={column} order={order} onOrder={onOrder} onSize={(px) => arranged.size(column.id, px)} />
        ))}
      </div>
      {count === 0 ? (
        <div role="row">
          <div role="gridcell">{empty}</div>
        </div>
      ) : (
        <div className="rows" role="rowgroup" style={{ height: rows.getTotalSize() }}>
          {items.map((item) => {
            const row = loading ? undefined : rowAt(item.index);
            const key = row === undefined ? null : keyOf(row);
            return <Line key={item.key} id={`${name}-${item.index}`} index={item.index} start={item.start} size={item.size} row={row} columns={shown} selected={key !== null && key === selected} cursor={item.index === cursor} tone={row !== undefined && tone ? tone(row) : ""} onChoose={choose} />;
          })}
        </div>
      )}
    </div>
    </div>
  );
}
