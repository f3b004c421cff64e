//! From a struct's fields to its impl.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, Lit, LitStr, Meta};

/// What `#[param(…)]` says about a field.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    missing: Option<Expr>,
    required: bool,
    flat: bool,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream, Error> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "Params is for structs"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "Params needs named fields"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "Params takes no generics"));
    }
    let mut defs = Vec::new();
    let mut reads = Vec::new();
    for (index, field) in fields.named.iter().enumerate() {
        let (def, read) = expand_field(index, field)?;
        defs.push(def);
        reads.push(read);
    }
    let ident = &input.ident;
    let name = ident.unraw().to_string();
    let doc = doc_of(&input.attrs);
    Ok(quote! {
        impl ::ebb_api::FromParams for #ident {
            const NAME: &'static str = #name;
            const DOC: &'static str = #doc;
            const PARAMS: &'static [::ebb_api::ParamDef] = &[#(#defs),*];

            fn from_params(
                params: &::ebb_api::Params,
            ) -> ::core::result::Result<Self, ::ebb_api::ApiError> {
                let _ = params;
                ::core::result::Result::Ok(Self { #(#reads),* })
            }
        }
    })
}

/// The field's `ParamDef` and its initializer.
fn expand_field(index: usize, field: &Field) -> Result<(TokenStream, TokenStream), Error> {
    let options = options_of(field)?;
    let ident = field.ident.as_ref().expect("the fields are named");
    let name = match &options.name {
        Some(name) => name.value(),
        None => pascal_case(&ident.unraw().to_string()),
    };
    let (ty, doc, required) = (&field.ty, doc_of(&field.attrs), options.required);
    let shape = if options.flat {
        quote!(<#ty as ::ebb_api::FlatField>)
    } else {
        quote!(<#ty as ::ebb_api::Field>)
    };
    let missing = match &options.missing {
        None => quote!(::ebb_api::ApiError::missing),
        Some(Expr::Lit(ExprLit { lit: Lit::Str(code), .. })) => {
            quote!(|key: &str| ::ebb_api::ApiError::missing_as(#code, key))
        }
        Some(function) => quote!(#function),
    };
    let def = quote! {
        ::ebb_api::ParamDef {
            name: #name,
            kind: #shape::KIND,
            required: #required || #shape::REQUIRED,
            doc: #doc,
            missing: #missing,
        }
    };
    let read = quote! {
        #ident: #shape::read(params, &<Self as ::ebb_api::FromParams>::PARAMS[#index])?
    };
    Ok((def, read))
}

fn options_of(field: &Field) -> Result<Options, Error> {
    let mut options = Options::default();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("param")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                options.name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("missing") {
                options.missing = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("required") {
                options.required = true;
            } else if meta.path.is_ident("flat") {
                options.flat = true;
            } else {
                return Err(meta.error("expected name, missing, required or flat"));
            }
            Ok(())
        })?;
    }
    if options.required && (options.flat || is_option(field)) {
        return Err(Error::new_spanned(
            field,
            "required is for lists: anything else is required unless it is an Option",
        ));
    }
    Ok(options)
}

fn is_option(field: &Field) -> bool {
    let syn::Type::Path(path) = &field.ty else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "Option")
}

/// The doc comment as one line.
fn doc_of(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn pascal_case(snake: &str) -> String {
    let raise = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
    };
    snake.split('_').map(raise).collect::<Vec<String>>().concat()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(input: &DeriveInput) -> String {
        expand(input).unwrap_err().to_string()
    }

    #[test]
    fn names_are_raised_word_by_word() {
        assert_eq!(pascal_case("disk_id"), "DiskId");
        assert_eq!(pascal_case("size"), "Size");
        assert_eq!(pascal_case("i_pv6_address"), "IPv6Address");
    }

    #[test]
    fn what_it_cannot_read_it_refuses() {
        assert_eq!(
            refusal(&parse_quote!(
                enum E {
                    A,
                }
            )),
            "Params is for structs"
        );
        assert_eq!(
            refusal(&parse_quote!(
                struct T(u32);
            )),
            "Params needs named fields"
        );
        assert_eq!(
            refusal(&parse_quote!(
                struct G<T> {
                    a: T,
                }
            )),
            "Params takes no generics"
        );
        assert_eq!(
            refusal(&parse_quote!(
                struct U {
                    #[param(nmae = "X")]
                    a: u32,
                }
            )),
            "expected name, missing, required or flat"
        );
        let required = "required is for lists: anything else is required unless it is an Option";
        assert_eq!(
            refusal(&parse_quote!(
                struct O {
                    #[param(required)]
                    a: Option<u32>,
                }
            )),
            required
        );
        assert_eq!(
            refusal(&parse_quote!(
                struct F {
                    #[param(flat, required)]
                    a: SystemDisk,
                }
            )),
            required
        );
    }
}
