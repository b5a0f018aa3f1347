//! In which form an answer is wanted (`Accept`). Source: `apiserver/pkg/endpoints/handlers/negotiation`.

use crate::error::ApiError;
use crate::http::errors;

/// The text's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Json,
    Yaml,
}

/// What objects are shown as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As themselves.
    #[default]
    Whole,
    /// As rows of a Table.
    Table,
    /// By their metadata alone.
    Metadata,
    /// As discovery in one document (`APIGroupDiscoveryList`).
    Discovery,
}

/// A form that can be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) format: Format,
    pub(crate) shape: Shape,
}

impl Form {
    /// The first form asked for that can be had; JSON for whoever names none.
    ///
    /// # Errors
    /// 406 if none of them can be had.
    pub(crate) fn negotiate(accept: &str) -> Result<Self, ApiError> {
        if accept.trim().is_empty() {
            return Ok(Self::default());
        }
        accept.split(',').find_map(Self::read).ok_or_else(errors::not_acceptable)
    }

    fn read(entry: &str) -> Option<Self> {
        let mut parts = entry.split(';').map(str::trim);
        let format = match parts.next()? {
            "application/json" | "*/*" | "application/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            _ => return None,
        };
        let (mut kind, mut group, mut version) = ("", "", "");
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key {
                "as" => kind = value,
                "g" => group = value,
                "v" => version = value,
                "stream" if value != "watch" => return None,
                _ => {}
            }
        }
        let shape = match (kind, group, version) {
            ("", _, _) => Shape::Whole,
            ("Table", "meta.k8s.io", "v1") => Shape::Table,
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => Shape::Metadata,
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Shape::Discovery,
            _ => return None,
        };
        Some(Self { format, shape })
    }

    /// The media type of the answer.
    pub(crate) fn media_type(self) -> &'static str {
        match self.format {
            Format::Json => "application/json",
            Format::Yaml => "application/yaml",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_can_be_had_is_taken() {
        let form = |format, shape| Some(Form { format, shape });
        for (accept, expected) in [
            ("", form(Format::Json, Shape::Whole)),
            ("*/*", form(Format::Json, Shape::Whole)),
            ("application/yaml", form(Format::Yaml, Shape::Whole)),
            ("application/vnd.kubernetes.protobuf,application/json", form(Format::Json, Shape::Whole)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", form(Format::Json, Shape::Table)),
            ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", form(Format::Json, Shape::Whole)),
            ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", form(Format::Json, Shape::Metadata)),
            (
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                form(Format::Json, Shape::Discovery),
            ),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/plain", None),
        ] {
            assert_eq!(Form::negotiate(accept).ok(), expected, "{accept}");
        }
    }
}
