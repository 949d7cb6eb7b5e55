#include "adapters/localfs/local_object_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/checksum.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "store/testing/object_store_contract.h"

namespace trainyard::adapters::localfs {
namespace {

using store::ObjectInfo;
using store::ObjectName;
using store::ObjectStore;
using store::testing::put_text;

/// A store in a directory of its own.
class TemporaryObjects {
 public:
  TemporaryObjects() : directory_(make_temporary_directory("trainyard-objects-").value()) { reopen(); }
  ~TemporaryObjects() { (void)remove_tree(directory_).ok(); }
  TemporaryObjects(const TemporaryObjects&) = delete;
  TemporaryObjects& operator=(const TemporaryObjects&) = delete;

  ObjectStore& objects() { return *objects_; }
  std::string root() const { return directory_ + "/objects"; }
  std::string file(const std::string& name) const { return root() + "/" + name; }
  void reopen() {
    objects_.reset();
    objects_ = make_local_object_store(root()).value();
  }
  void damage(const ObjectName& name, std::size_t at) { flip(file(name.text), at); }
  static void flip(const std::string& path, std::size_t at) {
    std::string bytes = read_file(path).value();
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
    EXPECT_TRUE(write_file_atomically(path, bytes).ok());
  }

 private:
  std::string directory_;
  std::unique_ptr<ObjectStore> objects_;
};

class LocalObjectStoreTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(arm_failpoints("").ok()); }
  ObjectStore& objects() { return temporary_.objects(); }
  void put(const std::string& name, std::string_view text) {
    const Result<ObjectInfo> stored = put_text(objects(), {name}, text);
    ASSERT_TRUE(stored.ok()) << stored.error().describe();
  }
  std::string get(const std::string& name) {
    const Result<std::string> text = store::read_object(objects(), {name}, 1000);
    return text.ok() ? *text : text.error().id;
  }
  std::vector<std::string> temporary_files() { return list_directory(temporary_.root() + "/@tmp").value_or({}); }

  TemporaryObjects temporary_;
};

TEST_F(LocalObjectStoreTest, object_is_a_plain_read_only_file_under_its_name) {
  put("packs/a/b.pack", "bytes");
  const Result<std::string> path = objects().local_path({"packs/a/b.pack"});
  ASSERT_TRUE(path.ok());
  EXPECT_EQ(*path, temporary_.file("packs/a/b.pack"));
  EXPECT_EQ(read_file(*path).value(), "bytes");
  struct stat info {};
  ASSERT_EQ(::stat(path->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0400u);
  EXPECT_TRUE(temporary_files().empty());
  EXPECT_EQ(objects().local_path({"packs/a"}).error().id, "object.missing");
}

TEST_F(LocalObjectStoreTest, object_cut_short_or_longer_is_found_by_every_read) {
  put("b/x", "0123456789");
  for (const char* bytes : {"012345678", "", "0123456789a"}) {
    ASSERT_TRUE(write_file_atomically(temporary_.file("b/x"), bytes).ok());
    std::byte one[1];
    EXPECT_EQ(objects().read({"b/x"}, 3, one).error().id, "object.corrupt");
    EXPECT_EQ(objects().stat({"b/x"}).error().id, "object.corrupt");
    EXPECT_EQ(objects().verify({"b/x"}).error().id, "object.corrupt");
    EXPECT_EQ(objects().verify({"b/x"}).error().category, Category::kDataLoss);
  }
}

TEST_F(LocalObjectStoreTest, flip_of_any_byte_of_object_or_record_is_never_served) {
  put("b/x", "0123456789");
  for (const std::string& path : {temporary_.file("b/x"), temporary_.file("@meta/b/x@json")}) {
    const std::string clean = read_file(path).value();
    for (std::size_t bit = 0; bit < clean.size() * 8; ++bit) {
      std::string bytes = clean;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      ASSERT_TRUE(write_file_atomically(path, bytes).ok());
      const std::string text = get("b/x");
      EXPECT_TRUE(text == "object.corrupt" || (path.ends_with("@json") && text == "0123456789")) << path << " bit " << bit << ": " << text;
    }
    ASSERT_TRUE(write_file_atomically(path, clean).ok());
  }
  EXPECT_EQ(get("b/x"), "0123456789");
}

TEST_F(LocalObjectStoreTest, object_without_its_record_is_damaged_and_listed_without_a_checksum) {
  put("b/x", "0123456789");
  put("b/y", "intact");
  ASSERT_TRUE(remove_tree(temporary_.file("@meta/b/x@json")).ok());
  EXPECT_EQ(get("b/x"), "object.corrupt");
  EXPECT_EQ(put_text(objects(), {"b/x"}, "0123456789").error().id, "object.corrupt");
  const auto found = objects().list("b/");
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].checksum, "");
  EXPECT_EQ((*found)[0].size, 10u);
  EXPECT_NE((*found)[1].checksum, "");
  ASSERT_TRUE(objects().remove({"b/x"}).ok());
  put("b/x", "rebuilt");
  EXPECT_EQ(get("b/x"), "rebuilt");
}

TEST_F(LocalObjectStoreTest, symbolic_link_is_not_followed) {
  const std::string outside = temporary_.root() + "-outside";
  ASSERT_TRUE(make_directories(outside).ok());
  ASSERT_TRUE(write_file_atomically(outside + "/secret", "secret").ok());
  put("b/x", "x");
  std::filesystem::create_directory_symlink(outside, temporary_.file("link"));
  std::filesystem::create_symlink(outside + "/secret", temporary_.file("b/secret"));
  EXPECT_EQ(get("link/secret"), "object.missing");
  EXPECT_EQ(get("b/secret"), "object.missing");
  EXPECT_EQ(put_text(objects(), {"link/new"}, "x").error().id, "object.name_conflict");
  EXPECT_EQ(put_text(objects(), {"b/secret"}, "x").error().id, "object.name_conflict");
  ASSERT_TRUE(objects().remove({"link/secret"}).ok());
  EXPECT_EQ(list_directory(outside).value(), (std::vector<std::string>{"secret"}));
  EXPECT_EQ(objects().list("")->size(), 1u);
}

TEST_F(LocalObjectStoreTest, fifo_in_place_of_an_object_blocks_nobody) {
  put("b/x", "x");
  ASSERT_EQ(::mkfifo(temporary_.file("b/fifo").c_str(), 0600), 0);
  EXPECT_EQ(get("b/fifo"), "object.missing");
  EXPECT_EQ(objects().list("b/")->size(), 1u);
}

TEST_F(LocalObjectStoreTest, name_below_an_object_and_name_of_a_directory_conflict) {
  put("b/x", "x");
  EXPECT_EQ(put_text(objects(), {"b/x/y"}, "y").error().id, "object.name_conflict");
  put("b/d/y", "y");
  EXPECT_EQ(put_text(objects(), {"b/d"}, "d").error().id, "object.name_conflict");
  ASSERT_TRUE(objects().remove({"b/d/y"}).ok());
  put("b/d", "d");
  EXPECT_EQ(get("b/d"), "d");
  ASSERT_TRUE(objects().remove({"b/d"}).ok());
  put("b/d/y", "y");
  temporary_.reopen();
  EXPECT_EQ(get("b/d/y"), "y");
}

TEST_F(LocalObjectStoreTest, files_of_dead_writers_are_removed_and_those_of_living_ones_kept) {
  ASSERT_TRUE(make_directories(temporary_.root() + "/@tmp").ok());
  ASSERT_TRUE(write_file_atomically(temporary_.root() + "/@tmp/dead", "left over").ok());

  /// Opens the store a second time, as another process would, in the middle of a write.
  class ReopeningSource final : public store::ByteSource {
   public:
    explicit ReopeningSource(const std::string& root) : root_(root) {}
    Result<std::span<const std::byte>> next() override {
      if (std::exchange(done_, true)) return std::span<const std::byte>();
      EXPECT_TRUE(make_local_object_store(root_).ok());
      left_ = list_directory(root_ + "/@tmp").value().size();
      return as_bytes("bytes");
    }
    std::size_t left_ = 0;

   private:
    std::string root_;
    bool done_ = false;
  };
  ReopeningSource source(temporary_.root());
  ASSERT_TRUE(objects().put_if_absent({"b/x"}, source).ok());
  EXPECT_EQ(source.left_, 1u) << "the dead writer's file is gone, the living one's is there";
  EXPECT_EQ(get("b/x"), "bytes");
}

TEST_F(LocalObjectStoreTest, failure_before_the_rename_leaves_nothing_and_after_it_is_repaired_by_the_next_put) {
  ASSERT_TRUE(arm_failpoints("object.after_write_before_rename=disk_full").ok());
  EXPECT_EQ(put_text(objects(), {"b/x"}, "x").error().id, "io.disk_full");
  EXPECT_TRUE(objects().list("")->empty());
  EXPECT_TRUE(temporary_files().empty());
  ASSERT_TRUE(arm_failpoints("object.after_rename_before_sync=io").ok());
  EXPECT_EQ(put_text(objects(), {"b/x"}, "x").error().id, "failpoint.injected");
  put("b/x", "x");
  EXPECT_EQ(get("b/x"), "x");
}

/// Puts an object in a child process that dies at `failpoint`.
void put_and_die(const std::string& root, const std::string& failpoint) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto objects = make_local_object_store(root);
    if (!objects.ok() || !arm_failpoints(failpoint).ok()) ::_exit(1);
    (void)put_text(**objects, {"b/x"}, "from the dead").ok();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 137) << status;
}

TEST_F(LocalObjectStoreTest, writer_that_died_leaves_a_whole_object_or_none) {
  put_and_die(temporary_.root(), "object.after_write_before_rename=exit");
  EXPECT_FALSE(temporary_files().empty());
  temporary_.reopen();
  EXPECT_TRUE(temporary_files().empty());
  EXPECT_EQ(get("b/x"), "object.missing");
  put_and_die(temporary_.root(), "object.after_rename_before_sync=exit");
  temporary_.reopen();
  EXPECT_EQ(get("b/x"), "from the dead");
  EXPECT_EQ(put_text(objects(), {"b/x"}, "other").error().id, "object.exists");
  put("b/x", "from the dead");
}

TEST_F(LocalObjectStoreTest, record_without_an_object_means_nothing) {
  put("b/x", "x");
  ASSERT_EQ(::unlink(temporary_.file("b/x").c_str()), 0);
  EXPECT_EQ(get("b/x"), "object.missing");
  EXPECT_TRUE(objects().list("")->empty());
  put("b/x", "other bytes");
  EXPECT_EQ(get("b/x"), "other bytes");
}

}  // namespace
}  // namespace trainyard::adapters::localfs

namespace trainyard::store::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Local, ObjectStoreContract, adapters::localfs::TemporaryObjects);
}  // namespace trainyard::store::testing
