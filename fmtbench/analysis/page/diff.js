// Which words of two texts differ: the longest common subsequence of words, signs and spaces.

const MOST_STEPS = 4e6; // longer texts: everything between the common beginning and end counts as different

function words(text) {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

// For each text a list of [piece, differs]; the pieces join to the text.
function compare(left, right) {
  const a = words(left), b = words(right);
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const middle = common(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const whole = (tokens, kept) => joined(tokens, (i) => i >= start && i < tokens.length - end && !kept.has(i - start));
  return [whole(a, middle[0]), whole(b, middle[1])];
}

// The positions in each list that the longest common subsequence keeps.
function common(a, b) {
  const kept = [new Set(), new Set()];
  const width = b.length + 1;
  if (a.length * b.length > MOST_STEPS) return kept;
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] = a[i] === b[j]
        ? length[(i + 1) * width + j + 1] + 1
        : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) { kept[0].add(i++); kept[1].add(j++); }
    else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
    else j++;
  }
  return kept;
}

// Joins neighbours of one kind into a piece; a space between two differences belongs to them.
function joined(tokens, differs) {
  const flags = tokens.map((token, i) => differs(i));
  tokens.forEach((token, i) => { if (/^\s/.test(token)) flags[i] = Boolean(flags[i - 1] && flags[i + 1]); });
  const pieces = [];
  tokens.forEach((token, i) => {
    if (pieces.length && flags[i] === flags[i - 1]) pieces.at(-1)[0] += token;
    else pieces.push([token, flags[i]]);
  });
  return pieces;
}
