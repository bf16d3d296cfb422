import { PLACES } from "../places.ts";
import { Dialog } from "./dialog.tsx";

const KEYS: [string, string][] = [
  ["Ctrl K / ⌘ K", "palette: everything that has a name"],
  ["/", "search of the page"],
  ["j  k", "next, previous row"],
  ["Enter", "open the row"],
  ["Esc", "close details, menus, windows"],
  ["1 … 9", "tabs of the details"],
  ["p", "pause, go on (traces, logs, streams)"],
  ["t t", "light, dark"],
  ["?", "this help"],
];

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose} end={<button type="button" className="button" onClick={onClose}>Close</button>}>
      <table className="rows-plain">
        <tbody>
          {KEYS.map(([keys, deed]) => (
            <tr key={keys}>
              <td className="nowrap">{keys.split("  ").map((key) => <kbd key={key}>{key}</kbd>)}</td>
              <td>{deed}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3>Go to</h3>
      <div className="facts">
        {PLACES.map((place) => (
          <div key={place.path} className="row">
            <kbd>g</kbd>
            <kbd>{place.key}</kbd>
            {place.title}
          </div>
        ))}
      </div>
    </Dialog>
  );
}
