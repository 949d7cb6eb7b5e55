#pragma once
#include "base/document.h"

namespace CLI {
class App;
}

namespace trainyard::apps {

/// Adds a flag for every property of a schema made by `schema_of`: its name, type, bounds, default and sentence become the help. A boolean
/// that is true by default becomes --no-NAME, and its sentence the object of "Turns off". What the user gives is collected as text in
/// `given`, which outlives the parse; decoding it checks types and bounds, and its errors name the flag.
void add_described_flags(CLI::App& app, const Document& schema, Document& given);

}  // namespace trainyard::apps
