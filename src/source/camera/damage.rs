//! Which pictures came damaged, told from ffmpeg's log: a picture that a decoder complains of, and all that
//! is predicted from it, until the next key frame without a complaint.
//!
//! The decoder's own mark on a picture is not enough. With B-frames those before it are shown first, and
//! what follows is predicted from it without being marked. What a decoder does not notice stays unseen: a
//! few bytes near the end of a picture in H.264, most of single bytes in H.265.

/// What ffmpeg says when a picture is damaged or missing. Of its complaints only these: others come with sound
/// pictures too, again and again with some cameras.
const DAMAGE: [&str; 13] = [
    // ffmpeg itself, of any decoder
    "corrupt decoded frame",
    "corrupt input packet",
    "Error while decoding stream",
    "Error submitting packet to decoder",
    // RTP: packets that did not come
    "RTP: missed",
    "bad cseq",
    // H.264, MPEG-4
    "error while decoding MB",
    " errors in ",
    // H.265 marks nothing
    "Could not find ref with POC",
    "cu_qp_delta",
    "CABAC_MAX_BIN",
    "Error parsing NAL unit",
    // MJPEG marks nothing
    "] error y=",
];

/// Follows the log of one child, line by line in its order.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Since the picture before.
    heard: bool,
    /// Until a key frame.
    lasts: bool,
}

impl Damage {
    /// Takes a line that is about no picture.
    pub(super) fn hear(&mut self, line: &str) {
        self.heard |= DAMAGE.iter().any(|d| line.contains(d));
    }

    /// Takes the next decoded picture.
    pub(super) fn decoded(&mut self, is_key: bool) {
        let heard = std::mem::take(&mut self.heard);
        self.lasts = heard || self.lasts && !is_key;
    }

    /// Whether the last decoded picture is damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_lasts_until_a_key_frame_without_a_complaint() {
        let mut damage = Damage::default();
        let mut next = |complaints: &[&str], is_key: bool| {
            complaints.iter().for_each(|c| damage.hear(c));
            damage.decoded(is_key);
            damage.is_damaged()
        };
        assert!(!next(&[], true));
        assert!(!next(&["[h264 @ 0x5] mmco: unref short failure"], false));
        let conceals = "[h264 @ 0x5] concealing 900 DC, 900 AC, 900 MV errors in P frame";
        assert!(next(&[conceals], false));
        assert!(next(&[], false), "predicted from it");
        let corrupt = "pipe:0: corrupt decoded frame in stream 0";
        assert!(next(&["something else", corrupt], true), "itself damaged");
        assert!(next(&[], false));
        assert!(!next(&[], true));
        assert!(!next(&[], false));
    }
}
