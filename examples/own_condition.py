"""A condition of your own: what the model is shown, what the decoder allows, and how a reply is read."""

import fmtbench

condition = fmtbench.Condition(reasoning="budget", words=15, asked="yaml", enforced="no", answer_field="result")
task = fmtbench.task("addition", size=1)
item = task.items()[0]
kind = task.kind(item)

for message in condition.render(item, kind, fmtbench.prompt("plain")):
    print(f"{message.role}: {message.content}\n")
print("The decoder allows:", condition.constraint(kind) or "anything")

reply = f"reasoning: I add them.\nresult: {item.gold}"
found = condition.read(fmtbench.Generation(key="example", text=reply), kind)
print(found.status, found.answer, kind.same(found.answer, item.gold))
