/** What a chart has as its times. */

const GAP = 4;
const SHORTEST_S = 60;

/** Where nothing was measured for a while the line is broken, not drawn through. */
export function withGaps(times: number[], series: (number | null)[][]): [number[], ...(number | null)[][]] {
  const steps = times.slice(1).map((time, index) => time - (times[index] ?? 0)).sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? Infinity;
  // uPlot makes a day of a single sample: the minute before it has none
  const at = times.length === 1 ? [(times[0] ?? 0) - SHORTEST_S] : [];
  const values: (number | null)[][] = series.map(() => at.map(() => null));
  times.forEach((time, index) => {
    const before = times[index - 1];
    if (before !== undefined && time - before > usual * GAP) {
      at.push(before + usual);
      values.forEach((column) => column.push(null));
    }
    at.push(time);
    values.forEach((column, which) => column.push(series[which]?.[index] ?? null));
  });
  return [at, ...values];
}

/** With few samples or none there is a minute to see, and not the year 1970. */
export function stretch(low: number | null, high: number | null): [number, number] {
  const end = high ?? Date.now() / 1000;
  return low === null || end - low < 4 ? [end - SHORTEST_S, end] : [low, end];
}
