/**
 * How many digits of an amount stand behind the point, where it is not two, and how many are shown.
 * https://docs.stripe.com/currencies#zero-decimal and #special-cases
 */
const ZERO = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split(" ");
const THREE = "BHD JOD KWD OMR TND".split(" ");
/** Without decimals, but still counted in hundredths. */
const HUNDREDTHS_UNSHOWN = "ISK UGX".split(" ");

/** `12.00 EUR`, `1,200 JPY`, `1.234 KWD`: an amount as Stripe counts it, in the smallest unit. */
export function money(amount: number, currency: string): string {
  const code = currency.toUpperCase();
  const digits = ZERO.includes(code) ? 0 : THREE.includes(code) ? 3 : 2;
  const shown = HUNDREDTHS_UNSHOWN.includes(code) ? 0 : digits;
  const format = new Intl.NumberFormat("en", { minimumFractionDigits: shown, maximumFractionDigits: shown });
  return `${format.format(amount / 10 ** digits)} ${code}`;
}
