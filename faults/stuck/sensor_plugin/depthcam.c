#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <unistd.h>

/* The register page of the sensor, filled by its firmware. */
static volatile unsigned registers[16];

static PyObject *open_camera(PyObject *self, PyObject *args)
{
    registers[0] = 0x17;
    registers[1] = 1;
    Py_RETURN_NONE;
}

static PyObject *grab(PyObject *self, PyObject *args)
{
    int index;
    if (!PyArg_ParseTuple(args, "i", &index))
        return NULL;
    usleep(20000);
    return PyLong_FromLong((index * 7919) % 4096);
}

/* Sets the exposure and waits until the sensor has taken it over. */
static PyObject *exposure(PyObject *self, PyObject *args)
{
    int microseconds;
    if (!PyArg_ParseTuple(args, "i", &microseconds))
        return NULL;
    registers[2] = (unsigned)microseconds;
    registers[1] = microseconds > 8000 ? 0 : 1;
    while ((registers[1] & 1) == 0)
        usleep(5000);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"open_camera", open_camera, METH_NOARGS, NULL},
    {"grab", grab, METH_VARARGS, NULL},
    {"exposure", exposure, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "depthcam", NULL, -1, methods};

PyMODINIT_FUNC PyInit_depthcam(void)
{
    return PyModule_Create(&module);
}
