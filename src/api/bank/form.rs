//! The forms that pictures come in: text fields first, then photos.

use axum::extract::{FromRequest, Multipart, Request};

use crate::api::App;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::api::{sites, upload};
use crate::bank::{Mask, Place, Role, Scope};
use crate::ledger;
use crate::pipeline::bank::TooSmall;

/// What a form says before its photos.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) role: Option<Role>,
    pub(super) scope: Option<Scope>,
    pub(super) code: Option<String>,
    /// Fractions of width and height, `[x1, y1, x2, y2]`.
    pub(super) area: Option<[f64; 4]>,
    pub(super) mask: Option<Mask>,
    site: Option<String>,
    camera: Option<String>,
    taken: Vec<String>,
}

impl Fields {
    fn set(&mut self, name: &str, value: String, known: &[&str]) -> Result<(), Problem> {
        if !known.contains(&name) {
            return Err(Problem::invalid(
                format!("The form has no field {name:?}."),
                format!("Use {} and photo.", known.join(", ")),
            ));
        }
        if self.taken.iter().any(|taken| taken == name) {
            return Err(Problem::invalid(
                format!("The field {name:?} comes twice."),
                "Send it once.",
            ));
        }
        self.taken.push(name.to_owned());
        let wrong = |next: &'static str| {
            Problem::invalid(format!("{value:?} is no value of {name:?}."), next)
        };
        match name {
            "role" => {
                let role = Role::parse(&value);
                self.role =
                    Some(role.ok_or_else(|| wrong("Give positive, negative or reference."))?);
            }
            "scope" => {
                let scope = Scope::parse(&value);
                self.scope = Some(scope.ok_or_else(|| wrong("Give everywhere, site or camera."))?);
            }
            "area" => {
                let area = area(&value);
                self.area = Some(area.ok_or_else(|| {
                    wrong("Give four fractions of width and height, x1,y1,x2,y2, for example 0.1,0.2,0.4,0.5.")
                })?);
            }
            "mask" => {
                let mask = Mask::parse(&value, [1.0; 2]);
                self.mask = Some(mask.map_err(|_| {
                    wrong("Give the corners of an outline in fractions of width and height, x,y,x,y,x,y and so on.")
                })?);
            }
            "code" => self.code = Some(value),
            "site" => self.site = Some(value),
            _ => self.camera = Some(value),
        }
        Ok(())
    }

    /// The part that is meant: the box, or that of the outline; the whole when neither was given.
    pub(super) fn part(&self) -> Result<[f64; 4], Problem> {
        match (&self.mask, self.area) {
            (None, None) => Ok([0.0, 0.0, 1.0, 1.0]),
            (None, Some(area)) => Ok(area),
            (Some(mask), None) => Ok(mask.area()),
            (Some(_), Some(_)) => Err(Problem::invalid(
                "The form has an area and a mask.",
                "Send one of them: a mask has its own area.",
            )),
        }
    }

    /// The place that is meant, within the caller's view. No site at all only for whoever sees all.
    pub(super) async fn place(&self, app: &App, caller: &Caller) -> Result<Place, Problem> {
        let mut db = app.ledger.read().await?;
        let Some(site) = &self.site else {
            if caller.enterprises().is_some() || self.camera.is_some() {
                return Err(Problem::invalid(
                    "The site is missing.",
                    "Put the field `site` with a site's id before the photo.",
                ));
            }
            return Ok(Place::default());
        };
        let id = site.parse().map_err(|_| Problem::not_found("site"))?;
        let site = sites::visible(&mut db, caller, id).await?.id;
        let camera = match &self.camera {
            None => String::new(),
            Some(camera) => {
                let missing = || Problem::not_found("camera of this site");
                let id = camera.parse().map_err(|_| missing())?;
                let camera = ledger::sites::camera(&mut db, id).await?;
                if camera.site_id != site {
                    return Err(missing());
                }
                camera.id.to_string()
            }
        };
        Ok(Place {
            site: site.to_string(),
            camera,
        })
    }
}

fn area(text: &str) -> Option<[f64; 4]> {
    let parts: Vec<f64> = text
        .split(',')
        .map(|p| p.trim().parse().ok())
        .collect::<Option<_>>()?;
    let area: [f64; 4] = parts.try_into().ok()?;
    let [x1, y1, x2, y2] = area;
    let inside = area.iter().all(|v| (0.0..=1.0).contains(v));
    (inside && x1 < x2 && y1 < y2).then_some(area)
}

/// A form as it streams in.
pub(super) struct Form(Multipart);

impl Form {
    pub(super) async fn of(request: Request) -> Result<Self, Problem> {
        let multipart = Multipart::from_request(request, &()).await;
        multipart.map(Self).map_err(upload::no_form)
    }

    /// Reads the text fields, which have to be among `known`, up to the first photo; that photo.
    pub(super) async fn first(
        &mut self,
        app: &App,
        known: &[&str],
    ) -> Result<(Fields, Vec<u8>), Problem> {
        let mut fields = Fields::default();
        while let Some(field) = self.0.next_field().await.map_err(upload::broken_form)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "photo" {
                let (_, bytes) = upload::receive_photo(app, field).await?;
                return Ok((fields, bytes));
            }
            fields.set(&name, upload::text(field).await?, known)?;
        }
        Err(Problem::invalid(
            "There is no photo in the form.",
            "Add a part called `photo` with a file, behind the other fields.",
        ))
    }

    /// The next photo, if there is one.
    pub(super) async fn next(&mut self, app: &App) -> Result<Option<Vec<u8>>, Problem> {
        let Some(field) = self.0.next_field().await.map_err(upload::broken_form)? else {
            return Ok(None);
        };
        if field.name() != Some("photo") {
            return Err(Problem::invalid(
                format!(
                    "The field {:?} comes after a photo.",
                    field.name().unwrap_or_default()
                ),
                "Put all text fields before the first photo.",
            ));
        }
        let (_, bytes) = upload::receive_photo(app, field).await?;
        Ok(Some(bytes))
    }
}

pub(super) fn too_small(part: &TooSmall) -> Problem {
    Problem::invalid(
        format!("Nothing can be seen in it: {part}."),
        "Send a larger part.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_lies_in_the_photo() {
        assert_eq!(area("0, 0.25,0.5,1"), Some([0.0, 0.25, 0.5, 1.0]));
        for wrong in [
            "",
            "0,0,1",
            "0,0,1,1.5",
            "0.5,0,0.5,1",
            "a,0,1,1",
            "0,0,1,nan",
        ] {
            assert_eq!(area(wrong), None, "{wrong}");
        }
    }
}
