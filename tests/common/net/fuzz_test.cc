// The fuzzers' bodies over seeded inputs, so that every test run covers them.
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "tests/fuzz/decode_fuzz.h"
#include "tests/fuzz/frame_fuzz.h"

namespace penstock::net {
namespace {

// A message with a random content of its own type's fields, one level deep.
std::string SomeMessage(const RequestType& type, std::mt19937& random) {
  std::unique_ptr<google::protobuf::Message> message(type.prototype->New());
  const auto* descriptor = message->GetDescriptor();
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->is_repeated()) continue;
    switch (field->cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT32:
        reflection->SetUInt32(message.get(), field, static_cast<uint32_t>(random()));
        break;
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT64:
        reflection->SetUInt64(message.get(), field, random());
        break;
      case google::protobuf::FieldDescriptor::CPPTYPE_STRING:
        reflection->SetString(message.get(), field, std::string(random() % 50, 'x'));
        break;
      default:
        break;
    }
  }
  return message->SerializeAsString();
}

void Mutate(std::string& bytes, std::mt19937& random) {
  for (int n = static_cast<int>(random() % 4); n > 0 && !bytes.empty(); --n) {
    const size_t at = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(at, 1 + random() % 8);
        break;
      case 2:
        bytes.insert(at, 1 + random() % 8, static_cast<char>(random()));
        break;
      default:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
        break;
    }
  }
}

TEST_CASE("mutated frames, handshakes and requests crash nothing", "[net][fuzz]") {
  const auto& types = RequestTypes();
  google::protobuf::SetLogHandler(nullptr);  // it prints each string that is no UTF-8
  for (uint32_t seed = 1; seed <= 4000; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::string stream(1, static_cast<char>(random()));
    for (int n = 1 + static_cast<int>(random() % 4); n > 0; --n) {
      const RequestType& type = types[random() % types.size()];
      FrameHeader header;
      header.kind = random() % 4 == 0 ? FrameKind::kReply : FrameKind::kRequest;
      header.method = static_cast<uint16_t>(type.method);
      header.request_id = random();
      header.payload_bytes = random() % 3 == 0 ? random() % 6000 : 0;
      std::string message = SomeMessage(type, random);
      if (random() % 3 == 0) Mutate(message, random);  // under a right checksum
      stream += EncodeFrame(header, std::string_view(message));
      stream += std::string(header.payload_bytes, 'p');
    }
    if (random() % 2 == 0) Mutate(stream, random);
    FuzzFrameStream(stream);
    const size_t type = random() % types.size();
    std::string request = SomeMessage(types[type], random);
    Mutate(request, random);
    FuzzHandshake(request);
    FuzzDecode(static_cast<char>(type) + request);
  }
}

TEST_CASE("every method has its request message in the decoding fuzzer", "[net][fuzz]") {
  std::set<int> known;
  for (const RequestType& type : RequestTypes()) known.insert(type.method);
  const auto* methods = wire::Method_descriptor();
  for (int i = 0; i < methods->value_count(); ++i) {
    const int method = methods->value(i)->number();
    INFO(methods->value(i)->name());
    REQUIRE((method == wire::METHOD_NONE || known.contains(method)));
  }
}

}  // namespace
}  // namespace penstock::net
