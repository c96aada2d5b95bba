//! kvet: the command line.

fn main() {
    let Some(path) = std::env::args_os().nth(1) else { return };
    match kvet_image::Image::open(path.as_ref()) {
        Ok(image) => {
            println!("{} {:?}", image.arch().as_str(), image.release());
            for report in kvet_tables::check(&kvet_tables::Context::new(&image, None)) {
                println!("{report:#?}");
            }
        }
        Err(error) => println!("{error}"),
    }
}
