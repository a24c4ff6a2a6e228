"""Damages lines of documents, so that a document still ends where it ended."""

# Lines by which Stem or torcon divides a file into documents.
KEPT = ("router ", "router-signature", "extra-info ", "onion-key", "hs-descriptor", "signature",
        "dir-key-certificate-version", "dir-key-certification", "-----END")


class Damage:
    """Changes one line of each document."""

    def __init__(self, random):
        self.random = random

    def document(self, text):
        """Returns the document, and the line before with the lines after."""
        lines = text.split("\n")[:-1]
        in_object = False
        candidates = []
        for number, line in enumerate(lines):
            if line.startswith("-----BEGIN"):
                in_object = True
            elif line.startswith("-----END"):
                in_object = False
            elif not in_object and number > 0 and not line.startswith(KEPT):
                candidates.append(number)
        if not candidates:
            return text, ("", [])
        number = self.random.choice(candidates)
        before, after = lines[number], self.line(lines[number])
        lines[number:number + 1] = after
        return "\n".join(lines) + "\n", (before, after)

    def line(self, line):
        """Returns the lines that replace this one."""
        keyword, _, arguments = line.partition(" ")
        words = arguments.split(" ")
        change = self.random.randrange(9)
        if change == 0:
            return []
        if change == 1:
            return [line, line]
        if change == 2:
            return [keyword]
        if change == 3:
            return [f"{keyword} nonsense"]
        if change == 4:
            return [f"{line} more words"]
        if change == 5:
            return [" ".join((keyword, *words[:-1]))]
        if change == 6:
            place = self.random.randrange(len(words))
            return [" ".join((keyword, *words[:place], "-1", *words[place + 1:]))]
        if change == 7:
            return [f"{keyword} {arguments[:self.random.randrange(len(arguments) + 1)]}"]
        letters = list(arguments or "x")
        letters[self.random.randrange(len(letters))] = self.random.choice("0:,=-+ $~/")
        return [f"{keyword} {''.join(letters)}"]
