package dev.sequent.backend.cuda;

import dev.sequent.spi.Probe;
import dev.sequent.spi.Probe.Status;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * NVIDIA's three libraries, found and bound.
 *
 * @param driver of the GPUs, {@code libcuda}
 * @param nvrtc the run-time compiler
 * @param blas the matrix library
 * @param versions what was found, in one line
 */
record Libraries(Driver driver, Nvrtc nvrtc, CublasLt blas, String versions) {
    /** The oldest driver that has everything the backend calls: CUDA 12.0. */
    private static final int MIN_DRIVER = 12000;
    /** Volta: the oldest GPUs whose warps synchronise as the kernels expect. */
    private static final int MIN_CAPABILITY = 70;
    private static final int STUB_LIBRARY = 34;
    private static final int NO_DEVICE = 100;
    private static final int DRIVER_MISMATCH = 803;
    private static final String INSTALL =
            "install CUDA 12 or 13 (or NVIDIA's packages for Python) and name the folder of its libraries with -D"
            + CudaOptions.LIBRARIES_PROPERTY + "=FOLDER if it is not /usr/local/cuda/lib64";

    /** What does not work here, with what the user can do about it. */
    static final class Unavailable extends Exception {
        private static final long serialVersionUID = 1L;

        private final transient Probe probe;

        Unavailable(Status status, String message, String remedy) {
            super(message);
            probe = new Probe(status, message, remedy);
        }

        Probe probe() {
            return probe;
        }
    }

    /** Finds and binds everything, and makes sure that there is a device that can be used. */
    static Libraries open(List<Path> folders) throws Unavailable {
        if (!System.getProperty("os.name").startsWith("Linux")) {
            throw new Unavailable(Status.UNSUPPORTED_HARDWARE, "the CUDA backend runs on Linux, this is " + System.getProperty("os.name"),
                    "use the cpu backend");
        }
        List<Path> all = folders(folders);
        try {
            Driver driver = driver(all);
            Nvrtc nvrtc = new Nvrtc(library(all, "the run-time compiler NVRTC", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"));
            CublasLt blas = new CublasLt(library(all, "the matrix library cuBLASLt", "libcublasLt.so.13", "libcublasLt.so.12",
                    "libcublasLt.so"));
            checkDevices(driver, nvrtc);
            String versions = "driver for CUDA " + driver.version() / 1000 + "." + driver.version() % 1000 / 10 + ", NVRTC "
                    + nvrtc.version() + ", cuBLASLt " + blas.version();
            return new Libraries(driver, nvrtc, blas, versions);
        } catch (IllegalArgumentException missing) {
            throw new Unavailable(Status.MISSING_SOFTWARE, missing.getMessage(), "update it: CUDA 12.0 or later is needed");
        } catch (IllegalCallerException denied) {
            throw new Unavailable(Status.MISCONFIGURED, "Java denies calls of native code: " + denied.getMessage(),
                    "start Java with --enable-native-access=ALL-UNNAMED");
        } catch (CudaException failed) {
            throw new Unavailable(Status.MISCONFIGURED, failed.getMessage(), "see whether nvidia-smi works");
        }
    }

    private static Driver driver(List<Path> folders) throws Unavailable {
        Driver driver;
        try {
            driver = new Driver(NativeLibrary.open(folders, "libcuda.so.1"));
        } catch (NativeLibrary.NotFound e) {
            throw new Unavailable(Status.MISSING_SOFTWARE, "no NVIDIA driver: " + e.getMessage(),
                    "install the driver of an NVIDIA GPU, version 525 or later; "
                            + "in a container, start it with the NVIDIA runtime (--gpus all)");
        }
        try {
            driver.init();
        } catch (CudaException e) {
            throw switch (e.code()) {
                case NO_DEVICE -> new Unavailable(Status.UNSUPPORTED_HARDWARE, "the driver finds no GPU: " + e.getMessage(),
                        "use the cpu backend, or see whether nvidia-smi lists a GPU and CUDA_VISIBLE_DEVICES hides it");
                case STUB_LIBRARY -> new Unavailable(Status.MISCONFIGURED,
                        "libcuda.so.1 is the toolkit's stub, not a driver: " + e.getMessage(),
                        "take the folder of stubs out of the library path and install the driver");
                case DRIVER_MISMATCH -> new Unavailable(Status.MISCONFIGURED, "driver and kernel module differ: " + e.getMessage(),
                        "restart the machine after the update of the driver");
                default -> new Unavailable(Status.MISCONFIGURED, e.getMessage(), "see whether nvidia-smi works");
            };
        }
        if (driver.version() < MIN_DRIVER) {
            throw new Unavailable(Status.MISSING_SOFTWARE, "the driver is for CUDA " + driver.version() / 1000 + "."
                    + driver.version() % 1000 / 10, "update it to version 525 or later, which is for CUDA 12.0");
        }
        return driver;
    }

    private static NativeLibrary library(List<Path> folders, String what, String... names) throws Unavailable {
        try {
            return NativeLibrary.open(folders, names);
        } catch (NativeLibrary.NotFound e) {
            throw new Unavailable(Status.MISSING_SOFTWARE, "there is a GPU driver, but " + what + " is missing: " + e.getMessage(),
                    INSTALL);
        }
    }

    private static void checkDevices(Driver driver, Nvrtc nvrtc) throws Unavailable {
        int count = driver.deviceCount();
        if (count == 0) {
            throw new Unavailable(Status.UNSUPPORTED_HARDWARE, "the driver finds no GPU",
                    "use the cpu backend, or see whether nvidia-smi lists a GPU and CUDA_VISIBLE_DEVICES hides it");
        }
        List<String> refused = IntStream.range(0, count).mapToObj(i -> refusal(driver, nvrtc, i)).filter(r -> r != null).toList();
        if (refused.size() == count) {
            throw new Unavailable(Status.UNSUPPORTED_HARDWARE, String.join("; ", refused),
                    "use a newer GPU, or CUDA 12, which knows older ones");
        }
    }

    /** Why a device cannot be used, or null when it can. */
    static String refusal(Driver driver, Nvrtc nvrtc, int index) {
        int device = driver.device(index);
        int capability = capability(driver, device);
        int oldest = nvrtc.architectures().stream().mapToInt(a -> a).min().orElse(MIN_CAPABILITY);
        if (capability >= Math.max(MIN_CAPABILITY, oldest)) {
            return null;
        }
        return "GPU " + index + " (" + driver.deviceName(device) + ") has compute capability " + capability / 10 + "." + capability % 10
                + ", and " + (capability < MIN_CAPABILITY ? "7.0 is needed"
                : "NVRTC " + nvrtc.version() + " begins with " + oldest / 10 + "." + oldest % 10);
    }

    /** Ten times the compute capability. */
    static int capability(Driver driver, int device) {
        return 10 * driver.attribute(Driver.ATTRIBUTE_MAJOR, device) + driver.attribute(Driver.ATTRIBUTE_MINOR, device);
    }

    /** The given folders and the usual ones: toolkits, containers, and NVIDIA's packages in a Python environment. */
    private static List<Path> folders(List<Path> first) {
        List<Path> all = new ArrayList<>(first);
        for (String variable : new String[] {"CUDA_HOME", "CUDA_PATH"}) {
            String home = System.getenv(variable);
            if (home != null && !home.isBlank()) {
                all.add(Path.of(home, "lib64"));
                all.add(Path.of(home, "lib"));
            }
        }
        all.add(Path.of("/usr/local/cuda/lib64"));
        all.add(Path.of("/usr/local/nvidia/lib64"));
        for (String variable : new String[] {"CUDA_SITE_PACKAGES", "VIRTUAL_ENV", "CONDA_PREFIX"}) {
            String home = System.getenv(variable);
            if (home != null && !home.isBlank()) {
                addSitePackages(all, Path.of(home));
            }
        }
        return all.stream().filter(Files::isDirectory).distinct().toList();
    }

    private static void addSitePackages(List<Path> all, Path home) {
        List<Path> sites = new ArrayList<>(List.of(home));
        for (int minor = 9; minor < 20; minor++) {
            sites.add(home.resolve("lib/python3." + minor + "/site-packages"));
        }
        for (Path site : sites) {
            for (String part : new String[] {"cu13", "cuda_nvrtc", "cublas"}) {
                all.add(site.resolve("nvidia").resolve(part).resolve("lib"));
            }
        }
    }
}
