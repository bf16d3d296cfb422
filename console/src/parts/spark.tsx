/** A line of a few values, in a row of a list. */
export function Spark({ values, label, width = 96, height = 22 }: { values: (number | null)[]; label: string; width?: number; height?: number }) {
  const known = values.map((value) => value ?? 0);
  if (known.length < 2) return <svg className="spark" width={width} height={height} role="img" aria-label={`${label}: no values yet`} />;
  const most = Math.max(...known, 1e-9);
  const points = known.map((value, index) => `${((index / (known.length - 1)) * width).toFixed(1)} ${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`);
  const line = `M${points.join("L")}`;
  return (
    <svg className="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <path className="area" d={`${line}L${width} ${height}L0 ${height}Z`} />
      <path d={line} />
    </svg>
  );
}
