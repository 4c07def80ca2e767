// Every request message that a server's handlers parse, by method. New methods are added here.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "proto/chunk.pb.h"
#include "proto/meta.pb.h"
#include "proto/rpc.pb.h"

namespace penstock {

struct RequestType {
  wire::Method method;
  const google::protobuf::Message* prototype;
};

inline const std::vector<RequestType>& RequestTypes() {
  static const auto* types = new std::vector<RequestType>{
      {wire::METHOD_HELLO, &wire::Hello::default_instance()},
      {wire::METHOD_PROVE, &wire::Prove::default_instance()},
      {wire::METHOD_PING, &wire::PingRequest::default_instance()},
      {wire::METHOD_OPEN_SESSION, &wire::OpenSessionRequest::default_instance()},
      {wire::METHOD_SESSION_HEARTBEAT, &wire::SessionHeartbeatRequest::default_instance()},
      {wire::METHOD_CLOSE_SESSION, &wire::CloseSessionRequest::default_instance()},
      {wire::METHOD_RESUME_SESSION, &wire::ResumeSessionRequest::default_instance()},
      {wire::METHOD_GET_CLUSTER_MAP, &wire::GetClusterMapRequest::default_instance()},
      {wire::METHOD_LOOKUP, &wire::LookupRequest::default_instance()},
      {wire::METHOD_GETATTR, &wire::GetattrRequest::default_instance()},
      {wire::METHOD_SETATTR, &wire::SetattrRequest::default_instance()},
      {wire::METHOD_CREATE, &wire::CreateRequest::default_instance()},
      {wire::METHOD_MKDIR, &wire::MkdirRequest::default_instance()},
      {wire::METHOD_MKNOD, &wire::MknodRequest::default_instance()},
      {wire::METHOD_SYMLINK, &wire::SymlinkRequest::default_instance()},
      {wire::METHOD_READLINK, &wire::ReadlinkRequest::default_instance()},
      {wire::METHOD_LINK, &wire::LinkRequest::default_instance()},
      {wire::METHOD_UNLINK, &wire::UnlinkRequest::default_instance()},
      {wire::METHOD_RMDIR, &wire::RmdirRequest::default_instance()},
      {wire::METHOD_RENAME, &wire::RenameRequest::default_instance()},
      {wire::METHOD_OPEN, &wire::OpenRequest::default_instance()},
      {wire::METHOD_READDIR, &wire::ReaddirRequest::default_instance()},
      {wire::METHOD_GETXATTR, &wire::GetxattrRequest::default_instance()},
      {wire::METHOD_SETXATTR, &wire::SetxattrRequest::default_instance()},
      {wire::METHOD_LISTXATTR, &wire::ListxattrRequest::default_instance()},
      {wire::METHOD_REMOVEXATTR, &wire::RemovexattrRequest::default_instance()},
      {wire::METHOD_STATFS, &wire::StatfsRequest::default_instance()},
      {wire::METHOD_PUBLISH, &wire::PublishRequest::default_instance()},
      {wire::METHOD_TRUNCATE_DONE, &wire::TruncateDoneRequest::default_instance()},
      {wire::METHOD_SYNC_METADATA, &wire::SyncMetadataRequest::default_instance()},
      {wire::METHOD_SESSION_EVENTS, &wire::SessionEventsRequest::default_instance()},
      {wire::METHOD_BEGIN_SHARED_WRITE, &wire::BeginSharedWriteRequest::default_instance()},
      {wire::METHOD_END_SHARED_WRITE, &wire::EndSharedWriteRequest::default_instance()},
      {wire::METHOD_SET_LOCK, &wire::SetLockRequest::default_instance()},
      {wire::METHOD_GET_LOCK, &wire::GetLockRequest::default_instance()},
      {wire::METHOD_RELEASE_LOCKS, &wire::ReleaseLocksRequest::default_instance()},
      {wire::METHOD_CANCEL_LOCK, &wire::CancelLockRequest::default_instance()},
      {wire::METHOD_WRITE_CHUNKS, &wire::WriteChunksRequest::default_instance()},
      {wire::METHOD_READ_CHUNKS, &wire::ReadChunksRequest::default_instance()},
      {wire::METHOD_STAT_CHUNKS, &wire::StatChunksRequest::default_instance()},
      {wire::METHOD_SYNC_CHUNKS, &wire::SyncChunksRequest::default_instance()},
      {wire::METHOD_LIST_CHUNKS, &wire::ListChunksRequest::default_instance()},
      {wire::METHOD_FETCH_CHUNK, &wire::FetchChunkRequest::default_instance()},
  };
  return *types;
}

// The first byte picks the method; what parses must survive being written and read again.
inline void FuzzDecode(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto& types = RequestTypes();
  const RequestType& type = types[static_cast<unsigned char>(bytes[0]) % types.size()];
  bytes.remove_prefix(1);
  std::unique_ptr<google::protobuf::Message> request(type.prototype->New());
  if (!request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const std::string written = request->SerializeAsString();
  std::unique_ptr<google::protobuf::Message> again(type.prototype->New());
  if (!again->ParseFromString(written)) __builtin_trap();
}

}  // namespace penstock
