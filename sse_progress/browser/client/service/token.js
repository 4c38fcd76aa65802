/** What a token says of itself, where it is a JWT; whether it is true is the service's to judge. */

/**
 * @param {string} token
 * @returns {Record<string, unknown>}
 */
function claimsOf(token) {
  try {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(payload)) ?? {};
  } catch {
    return {};
  }
}

/**
 * The `sub` of a JWT, else the whole token: two tabs of one user have tokens of their own.
 * @param {string} token
 */
export function userOf(token) {
  const { sub } = claimsOf(token);
  return typeof sub === "string" ? `sub ${sub}` : token;
}

/**
 * When it runs out, in milliseconds since 1970; null where it does not say.
 * @param {string} token
 */
export function expiryOf(token) {
  const { exp } = claimsOf(token);
  return typeof exp === "number" ? exp * 1000 : null;
}
