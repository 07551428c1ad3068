/** The only voice in the console; silent in normal operation. */
export function warn(message: string): void {
  console.warn("[engage] " + message);
}
