//! What is wrong with a set, and the stages of the work, in Chinese. The reports have them in English.

use crate::eval::report::Finding;
use crate::hazard::Lang;

/// What a finding says.
pub(super) fn text(finding: &Finding, lang: Lang) -> &str {
    match lang {
        Lang::En => &finding.text,
        Lang::Zh => chinese(&finding.code).unwrap_or(&finding.text),
    }
}

/// The name of a stage.
pub(super) fn stage(stage: &str, lang: Lang) -> &str {
    match (lang, stage) {
        (Lang::Zh, "read") => "读取",
        (Lang::Zh, "decode") => "解码",
        (Lang::Zh, "preprocess") => "预处理",
        (Lang::Zh, "inference") => "推理",
        (Lang::Zh, "postprocess") => "后处理",
        (Lang::Zh, "total") => "合计",
        (_, stage) => stage,
    }
}

/// Goes on after a number.
fn chinese(code: &str) -> Option<&'static str> {
    Some(match code {
        "photo_id_twice" => "张照片的编号与前面的重复；已剔除，其标注框可能计入了前一张",
        "photo_twice" => "张照片以不同编号重复列出；各自计数",
        "class_id_twice" => "个类别的编号与前面的重复；已剔除，其标注框计入前一个类别",
        "unknown_photo" => "个标注框所属的照片编号不在数据集中；已剔除",
        "unknown_class" => "个标注框所属的类别编号不在数据集中；已剔除",
        "photo_with_too_many_boxes" => {
            "张照片的标注框超过 10,000 个；已剔除：标注中的照片编号是否正确？"
        }
        "box_not_a_number" => "个标注框的坐标缺失、不是数字或远超照片范围；已剔除",
        "box_without_area" => "个标注框没有宽或高；已剔除（pycocotools 会计为漏检）",
        "box_outside" => "个标注框超出照片边界；按原样保留",
        "box_twice" => "个标注框与同类别的另一个完全相同；各自计数，因此其中一个必然漏检",
        "class_without_box" => "个类别没有任何标注框；没有指标",
        "photo_without_box" => "张照片没有标注框；其中参评类别的检测都计为误报",
        "photo_missing" => "张照片不存在；不计入指标",
        "photo_unreadable" => "张照片无法读取；不计入指标",
        "photo_turned" => {
            "张照片按横置方向标注：标注程序忽略了 EXIF 方向，标注框与转正后的照片不符"
        }
        "photo_other_size" => "张照片的尺寸与标注所述不同；标注框可能不符",
        "duplicate_across_splits" => "张照片与其他子集中的照片看起来相同（感知哈希）：指标可能偏高",
        "duplicate_within_split" => "对照片在本子集中看起来相同（感知哈希）：被重复计数",
        "no_label_file" => "张照片没有标注文件；视为没有目标的照片",
        "listed_without_labels" => "张子集列表中的照片在 Annotations/ 中没有标注文件；已剔除",
        "bad_label_line" => "行标注不符合 `class cx cy w h` 格式；已剔除",
        "prediction_of_nothing" => "个预测的照片或类别编号不在数据集中；已剔除",
        "prediction_not_counted" => "个预测在其照片和类别中排在前 100 个之后；COCO 不计，已剔除",
        "class_not_labelled" => {
            "个模型类别未在数据集中标注；照片中仍可能出现，其检测结果不计对错，已剔除"
        }
        "class_not_in_model" => "个数据集类别在模型中没有同名类别；已剔除",
        _ => return None,
    })
}
