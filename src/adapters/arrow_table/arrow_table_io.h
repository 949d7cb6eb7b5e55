#pragma once
#include <memory>

#include "data/table_io.h"

namespace trainyard::adapters::arrow_table {

/// Table files as Parquet through Arrow C++: zstd, page checksums, fixed rows per group, dictionaries for what repeats. The types: kUint8
/// is INT32 (UINT_8), kInt64 INT64, kFloat FLOAT, kString BYTE_ARRAY (UTF8), kBinary BYTE_ARRAY, kFixedBytes FIXED_LEN_BYTE_ARRAY; all
/// required. Any Parquet reader reads them. Uses one thread. Thread-safe; writers and readers are not.
std::unique_ptr<data::TableIo> make_arrow_table_io();

}  // namespace trainyard::adapters::arrow_table
