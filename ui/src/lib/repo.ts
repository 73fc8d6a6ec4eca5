/** Whether this can be a repository on the Hub: `user/name`, or a name alone, which is put under the user's own. */
export function isRepoName(text: string): boolean {
  return /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)?$/.test(text);
}
