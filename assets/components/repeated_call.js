// The place of a repeated call on a page: nothing is drawn, and the call ends when the element is removed.
export default {};
