//! Codecs by the four bytes that name them in AVI, ASF and others, as ffprobe names them.

use std::borrow::Cow;

use crate::model::FourCc;

/// Returns the codec of a `biCompression` or stream handler, or its four bytes if it isn't known.
pub(super) fn of_four_bytes(code: [u8; 4]) -> Cow<'static, str> {
    let name = match &code.map(|byte| byte.to_ascii_uppercase()) {
        [0, 0, 0, 0]
        | b"DIB "
        | b"RGB "
        | b"YUY2"
        | b"UYVY"
        | b"I420"
        | b"IYUV"
        | b"YV12"
        | b"NV12"
        | b"Y800" => "rawvideo",
        b"H264" | b"X264" | b"AVC1" | b"DAVC" | b"VSSH" => "h264",
        b"HEVC" | b"H265" | b"X265" | b"HVC1" | b"HEV1" => "hevc",
        b"AV01" => "av1",
        b"FMP4" | b"XVID" | b"DIVX" | b"DX50" | b"MP4V" | b"MP4S" | b"M4S2" | b"3IV2" | b"RMP4" | b"DM4V" => {
            "mpeg4"
        }
        b"MP42" | b"DIV2" => "msmpeg4v2",
        b"MP43" | b"DIV3" | b"DIV4" | b"DIV5" | b"AP41" | b"COL1" | b"MPG3" => "msmpeg4v3",
        b"MPG4" | b"MP41" | b"DIV1" => "msmpeg4v1",
        b"WMV1" => "wmv1",
        b"WMV2" => "wmv2",
        b"WMV3" => "wmv3",
        b"WVC1" | b"WMVA" | b"VC-1" => "vc1",
        b"MJPG" | b"AVRN" | b"JPEG" | b"LJPG" | b"MJLS" | b"DMB1" | b"AVDJ" => "mjpeg",
        b"MPG1" | b"MPEG" | b"PIM1" | [1 | 2, 0, 0, 0x10] => "mpeg1video",
        b"MPG2" | b"MP2V" | b"EM2V" | b"M701" | b"HDV1" | b"HDV2" => "mpeg2video",
        b"DVSD" | b"DVHD" | b"DVSL" | b"DV25" | b"DV50" | b"DVCS" | b"DVIS" | b"CDVC" => "dvvideo",
        b"H263" | b"X263" | b"U263" | b"VIVO" => "h263",
        b"I263" => "h263i",
        b"FLV1" | b"S263" => "flv1",
        b"VP60" | b"VP61" | b"VP62" => "vp6",
        b"VP6F" | b"FLV4" => "vp6f",
        b"VP30" | b"VP31" => "vp3",
        b"VP80" => "vp8",
        b"VP90" => "vp9",
        b"THEO" => "theora",
        b"FFV1" => "ffv1",
        b"FFVH" => "ffvhuff",
        b"HFYU" => "huffyuv",
        b"LAGS" => "lagarith",
        b"ULRA" | b"ULRG" | b"ULY0" | b"ULY2" | b"ULY4" | b"ULH0" | b"ULH2" | b"ULH4" => "utvideo",
        b"CVID" => "cinepak",
        b"IV31" | b"IV32" => "indeo3",
        b"IV41" => "indeo4",
        b"IV50" => "indeo5",
        b"MSVC" | b"CRAM" | b"WHAM" => "msvideo1",
        b"MRLE" | [1, 0, 0, 0] => "msrle",
        b"TSCC" => "tscc",
        b"MSS1" => "mss1",
        b"MSS2" => "mss2",
        b"MTS2" => "mts2",
        b"CFHD" => "cfhd",
        b"AVDN" => "dnxhd",
        b"PNG1" | b"MPNG" | b"PNG " => "png",
        b"MJ2C" | b"MJP2" | b"LJ2K" => "jpeg2000",
        b"ZMBV" => "zmbv",
        b"SNOW" => "snow",
        b"DRAC" => "dirac",
        b"RV10" => "rv10",
        b"RV20" | b"RVTR" => "rv20",
        b"RV30" => "rv30",
        b"RV40" => "rv40",
        b"V210" => "v210",
        b"8BPS" => "8bps",
        b"QDRW" => "qdraw",
        b"SVQ1" => "svq1",
        b"SVQ3" => "svq3",
        _ => return FourCc(code).to_string().into(),
    };
    name.into()
}
