import { fileDesc } from "@bufbuild/protobuf/codegenv2";

// Stands in for buf/validate/validate.proto in the bundle (see vite.config.ts):
// a file descriptor with that name and nothing in it. The options that refer to
// it stay in the descriptors as unknown fields, which nothing here reads.
export const file_buf_validate_validate = fileDesc(
  "ChtidWYvdmFsaWRhdGUvdmFsaWRhdGUucHJvdG8SDGJ1Zi52YWxpZGF0ZWIGcHJvdG8y",
);
