import { lazy, Suspense } from "react";

const Drawn = lazy(() => import("./chart.tsx"));

/** A chart, whose library is loaded when the first one is shown. */
export function Chart(properties: React.ComponentProps<typeof Drawn>) {
  return (
    <Suspense fallback={<div className="chart" />}>
      <Drawn {...properties} />
    </Suspense>
  );
}
