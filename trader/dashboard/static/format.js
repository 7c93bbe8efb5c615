// Figures as people read them. Money arrives as text and is only grouped here, never computed with.

const MINUS = "\u2212";
const DASH = "\u2013";

export function money(text) {
  if (text === null || text === undefined || text === "") return DASH;
  const [whole, fraction] = text.replace("-", "").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return (text.startsWith("-") ? MINUS : "") + grouped + (fraction ? `.${fraction}` : "");
}

export function signed(text) {
  if (text === null || text === undefined) return DASH;
  return Number(text) > 0 ? `+${money(text)}` : money(text);
}

export function percent(value, places = 2, plus = false) {
  if (value === null || value === undefined) return DASH;
  const body = `${Math.abs(value * 100).toFixed(places)}\u2009%`;
  if (Number(body.split("\u2009")[0]) === 0) return body;
  return (value < 0 ? MINUS : plus ? "+" : "") + body;
}

export const probability = (value) => (value === null || value === undefined ? DASH : value.toFixed(2).replace(/^0/, ""));

export const arrow = (value) => (value > 0 ? "\u25b2" : value < 0 ? "\u25bc" : "\u25c6");

export const lean = (value) => (value > 0 ? "up" : value < 0 ? "down" : "muted");

export function clock(iso) {
  return iso ? iso.slice(11, 19) : DASH;
}

export function moment(iso) {
  return iso ? `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC` : DASH;
}

export function age(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function millis(value) {
  if (value === null || value === undefined) return DASH;
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
