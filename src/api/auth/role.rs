//! Who may do what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Accounts, keys, the register. Decides nothing about findings.
    Admin,
    /// Visits sites, uploads photos, confirms or rejects candidates, orders rectification.
    Inspector,
    /// Verifies proofs and closes; the second person where one is needed.
    Reviewer,
    /// Sees its own company, answers orders with proofs.
    Enterprise,
    /// A machine that sends photos.
    Ingest,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Inspector,
        Self::Reviewer,
        Self::Enterprise,
        Self::Ingest,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Inspector => "inspector",
            Self::Reviewer => "reviewer",
            Self::Enterprise => "enterprise",
            Self::Ingest => "ingest",
        }
    }

    /// From what is written.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// Kinds of work that a role allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Accounts and keys.
    ManageAccounts,
    /// Enterprises, sites, points, cameras, checklists.
    EditRegister,
    /// Everything within the caller's enterprises.
    Read,
    /// Photos of a visit.
    Upload,
    /// State and results of the caller's own uploads.
    FollowUploads,
    /// Originals, with all their metadata.
    ReadOriginals,
    /// Inspections, and the answers of their checklists.
    Inspect,
    /// Confirm, reject, merge, order, transfer.
    Decide,
    /// Proofs of rectification.
    SubmitProof,
    /// Close or return.
    Verify,
    /// The audit log.
    ReadAudit,
    /// Metrics.
    Monitor,
}

impl Role {
    /// Whether this role does this.
    pub(crate) const fn may(self, task: Task) -> bool {
        use Task::*;
        match self {
            Self::Admin => matches!(
                task,
                ManageAccounts
                    | EditRegister
                    | Read
                    | FollowUploads
                    | ReadOriginals
                    | ReadAudit
                    | Monitor
            ),
            Self::Inspector => matches!(
                task,
                EditRegister
                    | Read
                    | Upload
                    | FollowUploads
                    | ReadOriginals
                    | Inspect
                    | Decide
                    | SubmitProof
                    | Verify
            ),
            Self::Reviewer => matches!(
                task,
                Read | FollowUploads | ReadOriginals | Decide | Verify | ReadAudit | Monitor
            ),
            Self::Enterprise => matches!(task, Read | Upload | FollowUploads | SubmitProof),
            Self::Ingest => matches!(task, Upload | FollowUploads),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_be_mixed_is_not() {
        // who makes accounts must not decide about findings, nor a machine or a company
        for role in [Role::Admin, Role::Enterprise, Role::Ingest] {
            assert!(
                !role.may(Task::Decide) && !role.may(Task::Verify),
                "{role:?}"
            );
        }
        for role in Role::ALL {
            assert_eq!(role.may(Task::ManageAccounts), role == Role::Admin);
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert!(
            !Role::Enterprise.may(Task::ReadOriginals),
            "EXIF holds the place"
        );
        assert!(!Role::Ingest.may(Task::Read));
        assert_eq!(Role::parse("root"), None);
    }
}
