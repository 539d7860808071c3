package image

import "github.com/nacre-sh/nacre/core/store"

// schema is the index.
//
//	layers       one row per layer in containers/storage: written right after
//	             the layer is complete there, deleted before it is deleted there
//	images       one row per config digest; removed_at is set for those in the trash
//	image_layers which layers an image has, bottom first
//	names        references with a tag, in full form, to images
//	repo_digests references with a digest: what a registry called the image
//	trash_names  names that were taken away, for a later undo
//	blobs        packed forms of a layer and the repositories known to hold them
//
// Times are Unix nanoseconds. Folders are relative to the layer store's root.
var schema = store.Module{Name: "image", Steps: []string{`
CREATE TABLE layers (
	chain    TEXT PRIMARY KEY,
	parent   TEXT NOT NULL,
	diff_id  TEXT NOT NULL,
	folder   TEXT NOT NULL,
	size     INTEGER NOT NULL,
	made_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX layers_parent ON layers (parent);
CREATE INDEX layers_diff_id ON layers (diff_id);

CREATE TABLE images (
	id              TEXT PRIMARY KEY,
	config          BLOB NOT NULL,
	manifest        BLOB NOT NULL,
	manifest_type   TEXT NOT NULL,
	manifest_digest TEXT NOT NULL,
	parent          TEXT NOT NULL DEFAULT '',
	created_at      INTEGER NOT NULL,
	os              TEXT NOT NULL,
	architecture    TEXT NOT NULL,
	variant         TEXT NOT NULL,
	labels          TEXT NOT NULL,
	size            INTEGER NOT NULL,
	tagged_at       INTEGER NOT NULL DEFAULT 0,
	removed_at      INTEGER
) WITHOUT ROWID;
CREATE INDEX images_parent ON images (parent) WHERE parent <> '';
CREATE INDEX images_trash ON images (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE image_layers (
	image    TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
	position INTEGER NOT NULL,
	chain    TEXT NOT NULL REFERENCES layers (chain),
	PRIMARY KEY (image, position)
) WITHOUT ROWID;
CREATE INDEX image_layers_chain ON image_layers (chain);

CREATE TABLE names (
	name      TEXT PRIMARY KEY,
	image     TEXT NOT NULL REFERENCES images (id),
	tagged_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX names_image ON names (image);

CREATE TABLE repo_digests (
	repo   TEXT NOT NULL,
	digest TEXT NOT NULL,
	image  TEXT NOT NULL REFERENCES images (id),
	PRIMARY KEY (repo, digest)
) WITHOUT ROWID;
CREATE INDEX repo_digests_image ON repo_digests (image);

CREATE TABLE trash_names (
	name       TEXT NOT NULL,
	image      TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
	removed_at INTEGER NOT NULL,
	PRIMARY KEY (name, image, removed_at)
) WITHOUT ROWID;
CREATE INDEX trash_names_image ON trash_names (image);

CREATE TABLE blobs (
	diff_id    TEXT NOT NULL,
	repo       TEXT NOT NULL,
	digest     TEXT NOT NULL,
	size       INTEGER NOT NULL,
	media_type TEXT NOT NULL,
	PRIMARY KEY (diff_id, repo, digest)
) WITHOUT ROWID;
`, `
-- Lists read nothing but this: the rows hold whole configs and manifests.
CREATE INDEX images_listed ON images (created_at DESC, id, parent, tagged_at, os, architecture, variant, labels, size, removed_at)
	WHERE removed_at IS NULL;
`}}
